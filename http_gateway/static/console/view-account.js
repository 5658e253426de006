/**
 * One's own account: who one is, the look, parents, all of one's data, and leaving for good.
 * @module
 */

import { api } from "./api.js";
import { h, replace } from "./dom.js";
import { date, timeOfDay } from "./format.js";
import { roleName } from "./frame.js";
import { avatar, badge, button, card, confirm, dialog, facts, field, form, heading, icon, toast } from "./parts.js";
import { go, refresh } from "./router.js";
import { ROLES, session } from "./session.js";

const LOOKS = [
  ["auto", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

export const views = [{ path: "/account", title: "My account", roles: [...ROLES], show: showAccount }];

async function showAccount({ signal }) {
  const parents = session.is("ROLE_STUDENT")
    ? (await api.get("/families/parents", { query: { pageSize: 100 }, signal })).parents
    : null;
  return h(
    "div",
    { class: "narrow" },
    heading("My account"),
    h("div", { class: "stack" }, me(), look(), parents && family(parents), data(), leaving()),
  );
}

function me() {
  const { displayName, email, imageUrl, role, createTime, id } = session.user;
  return card(
    {},
    h(
      "div",
      { class: "row me" },
      avatar(displayName, imageUrl, "big"),
      h("div", null, h("h2", { dir: "auto" }, displayName), h("p", { class: "soft" }, email)),
      badge(roleName(role), "info"),
    ),
    facts([
      ["Member since", date(createTime)],
      ["Account number", h("span", { class: "mono fine" }, id)],
    ]),
  );
}

function look() {
  const options = LOOKS.map(([value, text]) =>
    h(
      "label",
      { class: "choice" },
      h("input", {
        type: "radio",
        name: "look",
        value,
        checked: window.theme.choice === value,
        on: { change: () => (window.theme.choice = value) },
      }),
      text,
    ),
  );
  return card({ title: "Look" }, h("div", { class: "choices across", role: "radiogroup", "aria-label": "Look" }, options));
}

// Parents.

function family(parents) {
  return card(
    { title: "Parents", actions: button("Invite a parent", { icon: "plus", small: true, onClick: inviteParent }) },
    h("p", { class: "soft" }, "A linked parent sees your courses, results and certificates, and can change nothing."),
    parents.length ? h("ul", { class: "lines" }, parents.map(parentLine)) : h("p", { class: "fine" }, "Nobody is linked."),
  );
}

const parentLine = (link) =>
  h(
    "li",
    { class: "line" },
    avatar(link.parentName, link.parentImageUrl),
    h(
      "span",
      { class: "line-main" },
      h("span", { dir: "auto" }, link.parentName),
      h("span", { class: "fine" }, `since ${date(link.createTime)}`),
    ),
    button("Unlink", { small: true, "aria-label": `Unlink ${link.parentName}`, onClick: () => unlink(link) }),
  );

async function unlink({ parentId, parentName }) {
  if (
    !(await confirm({
      title: `Unlink ${parentName}?`,
      text: "They see nothing of yours from that moment on. You can link them again with a new code.",
      action: "Unlink",
    }))
  )
    return;
  await api.del(`/families/parents/${parentId}`);
  await refresh();
  toast("Unlinked.", "good");
}

async function inviteParent() {
  const { code, expireTime } = await api.post("/families/link-codes");
  const content = [
    h("p", null, "Give this code to your parent. They type it in under “My children”."),
    h("p", { class: "link-code mono", "aria-label": "Code" }, code),
    h("p", { class: "fine" }, `It works once, until ${timeOfDay(expireTime)}.`),
    button("Copy the code", {
      icon: "copy",
      onClick: async () => (await navigator.clipboard.writeText(code), toast("Copied.", "good")),
    }),
  ];
  await dialog({
    title: "A code for a parent",
    content: h("div", { class: "stack" }, content),
    actions: [{ text: "Done", kind: "primary" }],
  }).closed;
  await refresh();
}

// What is held about one.

const data = () =>
  card(
    { title: "Your data" },
    h("p", { class: "soft" }, "Everything the school holds about you, as one JSON file."),
    h(
      "div",
      { class: "row" },
      button("Download my data", { icon: "download", onClick: () => api.download("/users/me/export", "my-data.json") }),
    ),
  );

const leaving = () =>
  card(
    { title: "Leave for good" },
    h(
      "p",
      { class: "soft" },
      "Your name, address and answers are deleted. Payments and certificates stay under a pseudonym, so that what you " +
        "earned can still be checked. It cannot be undone.",
    ),
    h("div", { class: "row" }, button("Erase my account", { kind: "danger", icon: "trash", onClick: erase })),
  );

async function erase() {
  const place = h("div");
  const { closed } = dialog({
    title: "Erase your account?",
    content: (close) =>
      replace(
        place,
        h("p", { class: "callout bad" }, icon("alert"), h("span", null, "This cannot be undone.")),
        form({
          submit: "Erase my account",
          kind: "danger",
          fields: field({
            label: "Type ERASE to confirm",
            name: "confirm",
            required: true,
            autocomplete: "off",
            pattern: "ERASE",
            autofocus: true,
          }),
          onSubmit: async (values) => close((await api.post("/users/me/erase", values)).pseudonym),
        }),
      ),
  });
  const pseudonym = await closed;
  if (!pseudonym) return;
  session.forget();
  go("/welcome");
  toast(`Your account is erased. What stays is kept under “${pseudonym}”.`, "good");
}
