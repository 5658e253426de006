/**
 * What the console is, and signing in: as one of the development issuer's people, or with a token from elsewhere.
 * @module
 */

import { h } from "./dom.js";
import { roleName } from "./frame.js";
import { avatar, card, field, form, icon, textOf, toast } from "./parts.js";
import { go, link } from "./router.js";
import { hasDevelopmentIssuer, personas, session } from "./session.js";

const CAN = {
  ADMIN: "Runs the school: accounts, payments and refunds, certificates, the audit log.",
  INSTRUCTOR: "Writes courses and exams, follows the gradebook, sees where students give up.",
  STUDENT: "Finds a course, pays, learns, passes the exam and takes the certificate home.",
  PARENT: "Follows the progress of linked children, and reads their results.",
};
const ORDER = ["STUDENT", "INSTRUCTOR", "PARENT", "ADMIN"];

export const views = [{ path: "/welcome", title: "Welcome", show: showWelcome }];

/** Whoever signs in here goes on at once: the session's change makes this view anew. */
async function showWelcome({ query }) {
  const next = query.get("next") || "/";
  if (session.user) {
    go(next.startsWith("/welcome") ? "/" : next, { replace: true });
    return h("div");
  }
  const people = await personas();
  return h(
    "div",
    { class: "welcome" },
    hero(next),
    h("div", { class: "stack sign-in" }, hasDevelopmentIssuer() ? development(people) : pasted(true)),
  );
}

const hero = (next) =>
  h(
    "section",
    { class: "hero" },
    h("p", { class: "eyebrow" }, "Your own school, in a box"),
    h(
      "h1",
      null,
      ["Learn it.", "Prove it.", "Keep it."].map((text) => h("span", null, text, " ")),
    ),
    h(
      "p",
      { class: "lead" },
      "Courses with exams, certificates that anyone can check, and people to learn with, by chat and by call.",
    ),
    next !== "/" && h("p", { class: "callout note" }, icon("lock"), h("span", null, "Please sign in to go on.")),
    h(
      "ul",
      { class: "promises" },
      promise("book", "Look around first", "The catalogue is open to everybody.", "/courses", "See the courses"),
      promise("shield", "Check a certificate", "By its number or its file, without an account.", "/verify", "Verify one"),
    ),
  );

const promise = (name, title, text, path, action) =>
  h("li", null, icon(name), h("div", null, h("h2", null, title), h("p", null, text, " ", link(path, action))));

function development(people) {
  const sorted = [...people].sort((a, b) => ORDER.indexOf(a.role) - ORDER.indexOf(b.role));
  return [
    people.length > 0 &&
      card(
        { title: "Who would you like to be?", class: "personas" },
        h(
          "p",
          { class: "soft" },
          "This is a demo school, so there are no passwords. Pick somebody; open a second tab to be two people at once.",
        ),
        h(
          "ul",
          { class: "stack" },
          sorted.map((persona) => h("li", null, doorOf(persona))),
        ),
      ),
    h("details", { class: "card", open: !people.length }, h("summary", null, "Somebody new"), somebody()),
    pasted(false),
  ];
}

function doorOf(persona) {
  const role = roleName(`ROLE_${persona.role}`);
  const element = h(
    "button",
    { type: "button", class: "persona", on: { click: () => enter(element, persona) } },
    avatar(persona.displayName, "", "big"),
    h(
      "span",
      { class: "persona-text" },
      h(
        "span",
        { class: "persona-name" },
        h("strong", { dir: "auto" }, persona.displayName),
        h("span", { class: "badge info" }, role),
      ),
      h("span", { class: "soft" }, persona.about || CAN[persona.role]),
    ),
    icon("arrow"),
  );
  return element;
}

async function enter(element, persona) {
  element.setAttribute("aria-busy", "true");
  try {
    await session.signInAs(persona);
  } catch (error) {
    toast(textOf(error), "bad");
  } finally {
    element.removeAttribute("aria-busy");
  }
}

const somebody = () =>
  form({
    submit: "Sign in",
    fields: [
      field({ label: "Name", name: "displayName", required: true, autocomplete: "name" }),
      field({
        label: "E-mail",
        name: "email",
        type: "email",
        required: true,
        autocomplete: "email",
        placeholder: "you@example.com",
      }),
      field({
        label: "Role",
        name: "role",
        type: "select",
        required: true,
        value: "STUDENT",
        options: ORDER.map((role) => [role, roleName(`ROLE_${role}`)]),
      }),
    ],
    onSubmit: (values) => session.signInAs(values),
  });

function pasted(open) {
  return h(
    "details",
    { class: "card", open },
    h("summary", null, "Sign in with a session token"),
    h(
      "p",
      { class: "soft" },
      "Paste a token that your front end got from Clerk’s ",
      h("code", null, "getToken()"),
      ". It lives for a minute, or for as long as your JWT template says.",
    ),
    form({
      submit: "Sign in",
      fields: [
        field({
          label: "Session token",
          name: "token",
          type: "textarea",
          required: true,
          rows: 3,
          spellcheck: "false",
          autocomplete: "off",
        }),
        field({
          label: "At a first login, come as",
          name: "role",
          type: "select",
          required: true,
          value: "ROLE_STUDENT",
          options: [
            ["ROLE_STUDENT", "Student"],
            ["ROLE_PARENT", "Parent"],
          ],
        }),
      ],
      onSubmit: ({ token, role }) => session.signInWithToken(token, role),
    }),
  );
}
