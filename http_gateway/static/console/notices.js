/**
 * What the frame shows of what is live: how the connection is, how much waits, and notes of what happened elsewhere.
 * @module
 */

import { api } from "./api.js";
import { startCalls } from "./call-ringing.js";
import { money, percent } from "./format.js";
import { connection, mark } from "./frame.js";
import { live } from "./live.js";
import { courseTitle } from "./names.js";
import { toast } from "./parts.js";
import { go, here } from "./router.js";
import { session } from "./session.js";
import { chatPath } from "./chat-path.js";

let started = false;

/** Follow the session from now on, and show what comes. Views find the connection made. */
export function startLive() {
  if (started) return;
  started = true;
  live.addEventListener("state", () => connection(live.state));
  live.addEventListener("unread", () => mark("/chat", live.unread, "unread"));
  live.addEventListener("message", ({ detail }) => written(detail));
  for (const name of ["missed", "friend.requested", "friend.accepted", "friend.removed"])
    live.addEventListener(name, countRequests);
  for (const [topic, tell] of Object.entries(NOTES)) live.addEventListener(topic, ({ detail }) => tell(detail));
  startCalls();
  live.start();
}

const visit = (text, path) => ({ action: { text, onClick: () => go(path) } });

/** @type {Record<string, (data: any) => void>} */
const NOTES = {
  "friend.requested": ({ person }) =>
    toast(`${person.displayName} would like to be friends.`, "note", visit("Answer", "/friends")),
  "friend.accepted": ({ person }) =>
    toast(`You and ${person.displayName} are friends now.`, "good", visit("Say hello", chatPath(person))),
  "progress.changed": (progress) => progressed(progress).catch(() => {}), // a note less is no harm
  "enrollment.unlocked": ({ courseId, courseTitle }) =>
    toast(`${courseTitle} is open for you.`, "good", visit("Open it", `/courses/${courseId}`)),
  "certificate.issued": ({ studentId, snapshot }) =>
    studentId === session.user?.id
      ? toast(`Your certificate for ${snapshot.courseTitle} is here.`, "good", visit("See it", "/certificates"))
      : toast(`${snapshot.studentName} earned a certificate for ${snapshot.courseTitle}.`, "good"),
  "payment.updated": ({ status, amount, refundedMinor }) => {
    const text = {
      PAYMENT_STATUS_FAILED: `The payment of ${money(amount)} failed.`,
      PAYMENT_STATUS_REFUNDED: `${money(amount)} were given back to you.`,
      PAYMENT_STATUS_PARTIALLY_REFUNDED: `${money({ ...amount, amountMinor: refundedMinor })} were given back to you.`,
    }[status];
    if (text) toast(text, "note", visit("Payments", "/payments"));
  },
};

/** A child got further. @param {any} progress */
async function progressed({ studentId, courseId, percent: value, completeTime }) {
  if (!session.is("ROLE_PARENT")) return;
  const [{ children }, title] = await Promise.all([
    api.get("/families/children", { query: { pageSize: 100 } }),
    courseTitle(courseId),
  ]);
  const name = children.find((child) => child.childId === studentId)?.childName;
  if (name)
    toast(
      completeTime ? `${name} completed ${title}.` : `${name} got further in ${title}: ${percent(value)}.`,
      "good",
      visit("Look", `/family/${studentId}/courses/${courseId}`),
    );
}

/** A message that came while another page is open. */
function written({ userId, message }) {
  if (message.senderId !== userId || here().path === `/chat/${userId}`) return;
  const person = live.person(userId);
  const text = message.body.length > 80 ? `${message.body.slice(0, 79)}…` : message.body;
  toast(`${person.displayName}: ${text}`, "", visit("Reply", chatPath(person)));
}

async function countRequests() {
  const page = await api.get("/friends/requests", { query: { direction: "REQUEST_DIRECTION_INCOMING" } }).catch(() => null);
  if (page) mark("/friends", page.requests.length, "waiting");
}
