/**
 * Messages: the conversations, and the one that is open beside them (on a phone, in their place).
 * @module
 */

import { api } from "./api.js";
import { thread } from "./chat-thread.js";
import { h, replace } from "./dom.js";
import { ago } from "./format.js";
import { live, whenever } from "./live.js";
import { empty, more } from "./parts.js";
import { presentFace } from "./people.js";
import { link } from "./router.js";
import { ROLES, session } from "./session.js";

/** @typedef {import("./live.js").Person} Person */

const PAGE = 30;

/** @type {import("./router.js").View[]} */
export const views = [
  { path: "/chat", title: "Messages", roles: [...ROLES], show, nav: { text: "Messages", icon: "chat", order: 60 } },
  { path: "/chat/:userId", title: "Messages", roles: [...ROLES], show },
];

async function show({ params: { userId = "" }, query, signal }) {
  if (userId && query.get("name"))
    live.know([{ displayName: query.get("name"), imageUrl: "", ...live.people.get(userId), id: userId }]);
  const pages = api.list("/chat/conversations", { query: { pageSize: PAGE }, signal });
  const [{ value: first }, { friends }] = await Promise.all([
    pages.next(),
    api.get("/friends", { query: { pageSize: 100 }, signal }),
  ]);
  const people = friends.map(({ person }) => person);
  live.know([...first.conversations.map(({ peer }) => peer), ...people]);
  const list = conversations(first, pages, people, userId, signal);
  return h(
    "div",
    { class: `chat${userId ? " has-thread" : ""}` },
    list,
    userId ? await thread(live.person(userId), signal) : nothingOpen(),
  );
}

const nothingOpen = () =>
  h(
    "section",
    { class: "chat-thread chat-nothing", "aria-label": "Conversation" },
    empty("Choose a conversation on the left, or start one with a friend.", null, { icon: "chat" }),
  );

/** The conversations, the latest first, in their order while messages come; then friends to begin one with. */
function conversations(first, pages, friends, openId, signal) {
  const known = new Map(first.conversations.map((item) => [item.peer.id, { person: item.peer, last: item.lastMessage }]));
  const place = h("div", null);
  let drawing = new AbortController();
  const draw = () => {
    drawing.abort();
    drawing = new AbortController();
    const lines = AbortSignal.any([signal, drawing.signal]);
    const sorted = [...known.values()].sort((one, other) => timeOf(other) - timeOf(one));
    const others = friends.filter(({ id }) => !known.has(id));
    replace(
      place,
      sorted.length > 0 &&
        h(
          "ul",
          { class: "chat-list" },
          sorted.map(({ person, last }) => line(person, last, openId, lines)),
        ),
      others.length > 0 && [
        h("h2", { class: "chat-heading" }, "Start a conversation"),
        h(
          "ul",
          { class: "chat-list" },
          others.map((person) => line(person, null, openId, lines)),
        ),
      ],
      !sorted.length &&
        !others.length &&
        empty("No conversations yet. Find a friend first.", link("/friends", "Friends", { class: "button" }), { icon: "chat" }),
    );
  };
  const next = async () => {
    const { value } = await pages.next();
    for (const item of value?.conversations ?? []) known.set(item.peer.id, { person: item.peer, last: item.lastMessage });
    draw();
    return Boolean(value?.nextPageToken);
  };
  whenever(["message"], signal, ({ userId, message }) => {
    known.set(userId, { person: live.person(userId), last: message });
    draw();
  });
  whenever(["conversations"], signal, (items) =>
    items.forEach((item) => known.set(item.peer.id, { person: item.peer, last: item.lastMessage })),
  );
  whenever(["unread"], signal, draw);
  draw();
  return h(
    "section",
    { class: "chat-side", "aria-label": "Conversations" },
    h("h1", null, "Messages"),
    place,
    first.nextPageToken && more(next),
  );
}

const timeOf = ({ last }) => (last ? Date.parse(last.sendTime) : 0);

function line(person, last, openId, signal) {
  const unread = live.unreadOf.get(person.id) ?? 0;
  const own = last?.senderId === session.user?.id ? "You: " : "";
  const content = [
    presentFace(person, signal),
    h("span", { class: "chat-line-name" }, person.displayName),
    h("span", { class: "chat-line-last" }, last ? own + last.body : "Say hello"),
    last && h("time", { class: "chat-line-time", datetime: last.sendTime }, ago(last.sendTime)),
    unread > 0 && h("span", { class: "count" }, String(unread), h("span", { class: "unseen" }, " unread")),
  ];
  const props = { class: `chat-line${unread ? " is-unread" : ""}`, "aria-current": person.id === openId ? "page" : null };
  return h("li", null, link(`/chat/${person.id}`, content, props));
}
