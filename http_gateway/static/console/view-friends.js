/**
 * Friends: asking by e-mail, answering, presence, and the way to a message or a call.
 * @module
 */

import { api } from "./api.js";
import { callButtons } from "./call-buttons.js";
import { h } from "./dom.js";
import { ago } from "./format.js";
import { live, whenever } from "./live.js";
import { button, card, confirm, dialog, empty, field, form, heading, icon, pager, toast } from "./parts.js";
import { face, presenceText, presentFace } from "./people.js";
import { link } from "./router.js";
import { ROLES } from "./session.js";
import { chatPath } from "./chat-path.js";

/** @typedef {import("./live.js").Person} Person */

/** @type {import("./router.js").View[]} */
export const views = [
  { path: "/friends", title: "Friends", roles: [...ROLES], show, nav: { text: "Friends", icon: "users", order: 61 } },
];

async function show({ signal, refresh }) {
  const list = (path, query) => api.get(path, { query: { pageSize: 100, ...query }, signal });
  const [incoming, outgoing, blocked] = await Promise.all([
    list("/friends/requests", { direction: "REQUEST_DIRECTION_INCOMING" }),
    list("/friends/requests", { direction: "REQUEST_DIRECTION_OUTGOING" }),
    list("/friends", { blocked: true }),
  ]);
  whenever(["friend.requested", "friend.accepted", "friend.removed", "missed"], signal, refresh);
  return h(
    "div",
    { class: "stack" },
    heading("Friends", {
      lead: "Write to them and call them, wherever they learn.",
      actions: button("Add a friend", { kind: "primary", icon: "plus", onClick: () => ask(refresh) }),
    }),
    incoming.requests.length > 0 &&
      card(
        { title: "They would like to be friends", class: "highlighted" },
        h(
          "ul",
          { class: "people-list" },
          incoming.requests.map((item) => request(item, refresh)),
        ),
      ),
    await friends(signal, refresh),
    outgoing.requests.length > 0 &&
      card(
        { title: "You have asked" },
        h(
          "ul",
          { class: "people-list" },
          outgoing.requests.map((item) => asked(item, refresh)),
        ),
      ),
    blocked.friends.length > 0 &&
      card(
        { title: "Blocked" },
        h(
          "ul",
          { class: "people-list" },
          blocked.friends.map((item) => blockedLine(item, refresh)),
        ),
      ),
  );
}

async function friends(signal, refresh) {
  const into = h("ul", { class: "people-list" });
  const pages = api.list("/friends", { query: { pageSize: 50 }, signal });
  const render = (page) => {
    live.know(page.friends.map(({ person }) => person));
    return page.friends.map(({ person }) => friend(person, signal, refresh));
  };
  const nothing = empty(
    "Nobody here yet. Ask somebody by the e-mail address they learn with.",
    button("Add a friend", { onClick: () => ask(refresh) }),
    { icon: "users" },
  );
  return card({}, await pager({ pages, into, render, empty: nothing }));
}

function friend(person, signal, refresh) {
  return h(
    "li",
    { class: "person-line" },
    presentFace(person, signal),
    h(
      "div",
      { class: "person-line-text" },
      h("strong", { dir: "auto" }, person.displayName),
      h("p", null, presenceText(person.id, signal)),
    ),
    h(
      "div",
      { class: "person-line-actions" },
      link(chatPath(person), [icon("chat"), h("span", { class: "unseen" }, `Message ${person.displayName}`)], {
        class: "button quiet only-icon",
        title: "Message",
      }),
      callButtons(person),
      button(`More about ${person.displayName}`, {
        icon: "more",
        kind: "quiet",
        hidden: true,
        onClick: () => manage(person, refresh),
      }),
    ),
  );
}

const lineOf = (person, text, ...actions) =>
  h(
    "li",
    { class: "person-line" },
    face(person),
    h("div", { class: "person-line-text" }, h("strong", { dir: "auto" }, person.displayName), h("p", null, text)),
    h("div", { class: "person-line-actions" }, actions),
  );

function request({ person, sinceTime }, refresh) {
  const act = (verb, text) => async () => {
    await api.post(`/friends/${person.id}/${verb}`);
    if (text) toast(text, "good");
    await refresh();
  };
  return lineOf(
    person,
    `Asked ${ago(sinceTime)}`,
    button("Accept", { kind: "primary", small: true, onClick: act("accept", `You and ${person.displayName} are friends now.`) }),
    button("Decline", { small: true, onClick: act("decline") }),
    button(`Block ${person.displayName}`, {
      kind: "quiet",
      small: true,
      hidden: true,
      icon: "shield",
      onClick: () => block(person, refresh),
    }),
  );
}

const asked = ({ person, sinceTime }, refresh) =>
  lineOf(
    person,
    `Asked ${ago(sinceTime)}`,
    button("Take back", {
      small: true,
      onClick: async () => {
        await api.del(`/friends/${person.id}`);
        await refresh();
      },
    }),
  );

const blockedLine = ({ person, sinceTime }, refresh) =>
  lineOf(
    person,
    `Blocked ${ago(sinceTime)}`,
    button("Unblock", {
      small: true,
      onClick: async () => {
        await api.post(`/friends/${person.id}/unblock`);
        await refresh();
      },
    }),
  );

async function ask(refresh) {
  const content = (close) =>
    form({
      fields: field({
        label: "E-mail address",
        name: "email",
        type: "email",
        required: true,
        autocomplete: "off",
        hint: "The one they sign in with. They decide; nobody is told whether an address is known here.",
      }),
      submit: "Send request",
      onSubmit: async ({ email }) => close(await api.post("/friends/request", { email })),
    });
  const answer = await dialog({ title: "Add a friend", content }).closed;
  if (!answer) return;
  toast(
    answer.status === "FRIEND_STATUS_FRIENDS"
      ? "You are friends now."
      : "Your request is on its way, if the address is known here.",
    "good",
  );
  await refresh();
}

async function manage(person, refresh) {
  const actions = [
    { text: "Block", value: "block" },
    { text: "End friendship", kind: "danger", value: "remove" },
  ];
  const content = h("p", null, `You and ${person.displayName} can write to and call each other for as long as you are friends.`);
  const choice = await dialog({ title: person.displayName, content, actions }).closed;
  if (choice === "block") await block(person, refresh);
  if (
    choice !== "remove" ||
    !(await confirm({
      title: "End the friendship?",
      text: `${person.displayName} is told. Messages stay, but neither of you can write any more.`,
      action: "End friendship",
    }))
  )
    return;
  await api.del(`/friends/${person.id}`);
  await refresh();
}

async function block(person, refresh) {
  const text = `${person.displayName} is not told. Their requests, messages and calls no longer reach you; a friendship ends.`;
  if (!(await confirm({ title: `Block ${person.displayName}?`, text, action: "Block" }))) return;
  await api.post(`/friends/${person.id}/block`);
  await refresh();
}
