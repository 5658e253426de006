/**
 * One conversation: its messages, older ones by scrolling, receipts, who types; and the way to a call.
 * @module
 */

import { callButtons } from "./call-buttons.js";
import { composer, send, unsentTo } from "./chat-composer.js";
import { h, replace } from "./dom.js";
import { date, timeOfDay } from "./format.js";
import { linked } from "./linked.js";
import { live, whenever } from "./live.js";
import { button, failure, icon, loading } from "./parts.js";
import { face, presenceText, presentFace } from "./people.js";
import { link } from "./router.js";
import { session } from "./session.js";

/** @typedef {import("./live.js").Person} Person */

const TOGETHER_MS = 5 * 60_000;
const NEAR_END = 80;

/** The conversation with a person, its newest messages loaded. @param {Person} person @param {AbortSignal} signal */
export async function thread(person, signal) {
  const { chat } = live;
  const talk = chat.conversation(person.id);
  if (!talk.loaded) await chat.loadOlder(person.id);
  const log = h("div", { class: "chat-log", role: "log", "aria-label": `Messages with ${person.displayName}`, tabindex: 0 });
  const typing = h("p", { class: "chat-typing", role: "status" });
  const older = h("div", { class: "chat-older" });
  const nodes = new Map();
  let first = 0;
  const draw = () => {
    const atEnd = isAtEnd(log);
    const below = log.scrollHeight - log.scrollTop;
    place(log, [older, ...items(talk, person, nodes, draw)]);
    if (atEnd) log.scrollTop = log.scrollHeight;
    else if (talk.messages[0]?.seq < first) log.scrollTop = log.scrollHeight - below; // what is read stays where it is
    first = talk.messages[0]?.seq ?? 0;
    replace(
      typing,
      talk.peerTyping && [
        h("span", { class: "typing-dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")),
        `${person.displayName} is typing…`,
      ],
    );
    seen(log, talk);
  };
  chat.addEventListener("change", ({ detail }) => detail.userId === person.id && draw(), { signal });
  log.addEventListener("scroll", () => seen(log, talk), { signal, passive: true });
  document.addEventListener("visibilitychange", () => seen(log, talk), { signal });
  draw();
  loadAbove(log, older, talk, signal);
  stayAtEnd(log, talk, signal);
  return h(
    "section",
    { class: "chat-thread", "aria-label": `Conversation with ${person.displayName}` },
    header(person, signal),
    lineState(signal),
    log,
    typing,
    composer(person, draw, () => (log.scrollTop = log.scrollHeight)),
  );
}

function header(person, signal) {
  return h(
    "header",
    { class: "chat-header" },
    link("/chat", [icon("back"), h("span", { class: "unseen" }, "All messages")], { class: "button quiet only-icon chat-back" }),
    presentFace(person, signal),
    h("div", { class: "chat-who" }, h("h2", null, person.displayName), presenceText(person.id, signal)),
    callButtons(person),
  );
}

/** That there is no connection, for as long as there is none. @param {AbortSignal} signal */
function lineState(signal) {
  const text = h("p", { class: "chat-offline", role: "status" });
  const show = () =>
    replace(
      text,
      ["waiting", "connecting"].includes(live.state) && "Reconnecting… What you write is sent as soon as the line is back.",
    );
  whenever(["state"], signal, show);
  show();
  return text;
}

const isAtEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END;

/** What is read is what somebody could see: the end of the list, in a window that is looked at. */
function seen(log, talk) {
  if (isAtEnd(log) && log.isConnected && document.visibilityState === "visible" && talk.lastSeq) live.read(talk.userId);
}

/** Begin at the end, and stay there when the window, or the keyboard below it, changes. */
function stayAtEnd(log, talk, signal) {
  let atEnd = true;
  log.addEventListener("scroll", () => (atEnd = isAtEnd(log)), { signal, passive: true });
  const watcher = new ResizeObserver(() => {
    if (atEnd) log.scrollTop = log.scrollHeight;
    seen(log, talk);
  });
  watcher.observe(log);
  signal.addEventListener("abort", () => watcher.disconnect());
}

/** Load older messages whenever the top of the list comes near. */
function loadAbove(log, older, talk, signal) {
  let busy = false;
  const load = async () => {
    if (busy || !talk.hasOlder || signal.aborted) return;
    busy = true;
    replace(older, loading("Loading older messages …"));
    try {
      await live.chat.loadOlder(talk.userId);
      replace(older);
    } catch (error) {
      replace(older, failure(error, load));
    } finally {
      busy = false;
    }
  };
  const near = ([entry]) => entry.isIntersecting && log.scrollHeight > log.clientHeight && load();
  const watcher = new IntersectionObserver(near, { root: log, rootMargin: "200px 0px 0px" });
  signal.addEventListener("abort", () => watcher.disconnect());
  requestAnimationFrame(() => watcher.observe(older));
}

/** All that the list shows, in order; a message's element is made once. */
function items(talk, person, nodes, draw) {
  const list = [];
  let previous = null;
  for (const message of talk.messages) {
    const day = date(message.sendTime);
    const newDay = !previous || day !== date(previous.sendTime);
    if (newDay) list.push(keep(nodes, `day ${day}`, () => h("p", { class: "chat-day" }, day)));
    const node = keep(nodes, message.id, () => bubble(message, person));
    node.classList.toggle("follows", !newDay && together(previous, message));
    list.push(node);
    previous = message;
  }
  const written = new Set(talk.messages.map((message) => message.clientMessageId));
  const waiting = talk.pending.filter((item) => !written.has(item.clientMessageId));
  list.push(...waiting.map((item) => keep(nodes, item.clientMessageId, () => unwritten(item))));
  list.push(
    ...unsentTo(person.id).map((item) => keep(nodes, `unsent ${item.clientMessageId}`, () => failed(item, person, nodes, draw))),
  );
  if (!list.length)
    return [
      keep(nodes, "none", () =>
        h("p", { class: "chat-first" }, `This is the beginning of your conversation with ${person.displayName}.`),
      ),
    ];
  return [...list, keep(nodes, "receipt", () => h("p", { class: "chat-receipt" }))].map((node) =>
    withReceipt(node, talk, previous),
  );
}

const keep = (nodes, key, make) => nodes.get(key) ?? nodes.set(key, make()).get(key);

const together = (one, next) =>
  one.senderId === next.senderId && Date.parse(next.sendTime) - Date.parse(one.sendTime) < TOGETHER_MS;

/** How far the other side is, under the last message if that is one's own. */
function withReceipt(node, talk, last) {
  if (!node.classList.contains("chat-receipt")) return node;
  const mine = last?.senderId === session.user?.id && !talk.pending.length;
  const text = !mine ? "" : talk.peerReadSeq >= last.seq ? "Read" : talk.peerDeliveredSeq >= last.seq ? "Delivered" : "Sent";
  if (node.textContent !== text) node.textContent = text;
  return node;
}

function bubble(message, person) {
  const mine = message.senderId === session.user?.id;
  return h(
    "div",
    { class: `message ${mine ? "mine" : "theirs"}` },
    !mine && face(person, "small"),
    h(
      "div",
      { class: "bubble", dir: "auto" },
      h("span", { class: "unseen" }, mine ? "You: " : `${person.displayName}: `),
      linked(message.body),
      h("time", { datetime: message.sendTime }, timeOfDay(message.sendTime)),
    ),
  );
}

const unwritten = ({ body }) =>
  h(
    "div",
    { class: "message mine pending" },
    h("div", { class: "bubble", dir: "auto" }, linked(body), h("span", { class: "bubble-state" }, "Sending…")),
  );

/** A message that could not be sent: it may be tried again, or thrown away. */
function failed(item, person, nodes, draw) {
  const leave = (again) => {
    nodes.delete(`unsent ${item.clientMessageId}`);
    item.forget();
    if (again) send(person.id, item.body, draw, item.clientMessageId);
    else draw();
  };
  return h(
    "div",
    { class: "message mine failed" },
    h("div", { class: "bubble", dir: "auto" }, linked(item.body)),
    h(
      "div",
      { class: "message-problem", role: "alert" },
      icon("alert"),
      h("span", null, `Not sent. ${item.reason}`),
      button("Try again", { kind: "quiet", small: true, onClick: () => leave(true) }),
      button("Discard", { kind: "quiet", small: true, onClick: () => leave(false) }),
    ),
  );
}

/** Make a container hold these nodes; those that are there already stay untouched. */
function place(container, wanted) {
  const keepers = new Set(wanted);
  for (const node of [...container.childNodes]) if (!keepers.has(node)) node.remove();
  wanted.forEach((node, index) => {
    if (container.childNodes[index] !== node) container.insertBefore(node, container.childNodes[index] ?? null);
  });
}
