/**
 * What stands around every view: brand, navigation by role, the person, and how the connection is.
 * @module
 */

import { dialog, toast } from "./dialogs.js";
import { append, h, replace } from "./dom.js";
import { icon, logo } from "./icons.js";
import { avatar, badge, button } from "./parts.js";
import { currentView, go, here, link, maySee } from "./router.js";
import { session } from "./session.js";

/** @typedef {import("./router.js").View} View */

const ROLE_NAMES = {
  ROLE_STUDENT: "Student",
  ROLE_INSTRUCTOR: "Instructor",
  ROLE_PARENT: "Parent",
  ROLE_ADMIN: "Administrator",
};
const IN_BAR = 4; // on a phone; the others stand behind "More"
/** @type {Map<string, {count: number, label: string}>} by a view's path */
const marks = new Map();
/** @type {View[]} */
let views = [];
const slots = {
  header: h("header", { class: "top" }),
  nav: h("nav", { class: "side", "aria-label": "Main" }),
  state: h("div", { class: "connection", role: "status" }),
};

/** What a role is called. @param {string} role */
export const roleName = (role) => ROLE_NAMES[role] ?? "";

/** Lead to these views from now on. @param {View[]} all */
export function navigate(all) {
  if (views === all) return;
  views = all;
  drawNavigation();
}

/** Build the frame around `outlet`. @param {HTMLElement} outlet */
export function build(outlet) {
  const root = /** @type {HTMLElement} */ (document.getElementById("app"));
  const skip = h(
    "a",
    { class: "skip", href: "#main", on: { click: (event) => (event.preventDefault(), outlet.focus()) } },
    "Skip to the content",
  );
  replace(root, skip, slots.header, slots.nav, h("div", { class: "stage" }, slots.state, outlet));
  session.addEventListener("change", draw);
  addEventListener("shown", drawNavigation);
  addEventListener("offline", () => connection("offline"));
  addEventListener("online", () => connection("open"));
  draw();
}

/**
 * Say how the connection is.
 * @param {"idle" | "connecting" | "open" | "waiting" | "closed" | "offline"} state as of a realtime `Connection`
 */
export function connection(state) {
  const lost = state === "waiting" || state === "offline";
  slots.state.classList.toggle("lost", lost);
  replace(
    slots.state,
    lost && [
      icon("refresh"),
      state === "offline" ? "You are offline. What you do is sent when you are back." : "Connection lost. Trying again …",
    ],
  );
}

/**
 * Show how much waits behind a navigation entry.
 * @param {string} path of its view
 * @param {number} count
 * @param {string} [label] such as "unread"
 */
export function mark(path, count, label = "new") {
  if (marks.get(path)?.count === count) return;
  marks.set(path, { count, label });
  drawNavigation();
}

/** Where the person begins: the first entry of their navigation. */
export const home = () => (session.user ? (entries()[0]?.path ?? "/courses") : "/welcome");

const entries = () =>
  views
    .filter((view) => view.nav && maySee(view) && (!view.nav.roles || session.is(...view.nav.roles)))
    .sort((a, b) => a.nav.order - b.nav.order);

function draw() {
  document.documentElement.dataset.signed = session.user ? "in" : "out";
  replace(
    slots.header,
    h("a", { class: "brand", href: "#/" }, logo(), h("span", null, "SkillForge")),
    session.user ? person() : visitor(),
  );
  drawNavigation();
}

/** By itself, so that a new mark does not close the person's menu. */
function drawNavigation() {
  const all = session.user ? entries() : [];
  slots.nav.hidden = !all.length;
  replace(
    slots.nav,
    h(
      "ul",
      null,
      all.map((view, place) => h("li", { class: place < IN_BAR ? null : "beyond" }, entry(view))),
      all.length > IN_BAR &&
        h(
          "li",
          { class: "rest" },
          h(
            "button",
            { type: "button", class: "entry", on: { click: showMore } },
            icon("menu"),
            h("span", null, "More"),
            restMark(all),
          ),
        ),
    ),
  );
}

function entry(view) {
  const waiting = marks.get(view.path);
  return link(view.path, [icon(view.nav.icon), h("span", null, view.nav.text), waiting?.count > 0 && count(waiting)], {
    class: "entry",
    "aria-current": isHere(view) ? "page" : null,
  });
}

const count = ({ count: waiting, label }) =>
  h("span", { class: "count" }, waiting > 99 ? "99+" : waiting, h("span", { class: "unseen" }, ` ${label}`));

function restMark(all) {
  const waiting = all.slice(IN_BAR).reduce((sum, view) => sum + (marks.get(view.path)?.count ?? 0), 0);
  return waiting > 0 && count({ count: waiting, label: "new" });
}

/** Whether the person is in the part of the console that an entry leads to. */
function isHere(view) {
  const { path } = here();
  return (
    path === view.path || currentView() === view || path.startsWith(`${view.path}/`) || currentView()?.within === view.path
  );
}

function showMore() {
  const { element } = dialog({
    title: "More",
    content: h(
      "ul",
      { class: "menu" },
      entries()
        .slice(IN_BAR)
        .map((view) => h("li", null, entry(view))),
    ),
  });
  element.addEventListener("click", (event) => event.target.closest("a") && element.close());
}

const visitor = () =>
  h(
    "div",
    { class: "top-end" },
    link("/courses", "Courses", { class: "top-link" }),
    link("/verify", "Verify", { class: "top-link wide-only" }),
    h("a", { href: "/docs", class: "top-link wide-only" }, "API"),
    themeButton(),
    link("/welcome", "Sign in", { class: "button primary small" }),
  );

function person() {
  const { displayName, imageUrl, role } = session.user;
  const menu = h(
    "div",
    { class: "person-menu", popover: "auto", id: "person-menu" },
    h(
      "div",
      { class: "person-card" },
      avatar(displayName, imageUrl),
      h("div", null, h("strong", { dir: "auto" }, displayName), h("p", null, session.user.email), badge(roleName(role))),
    ),
    h(
      "ul",
      { class: "menu" },
      h("li", null, link("/account", [icon("user"), "My account"], { class: "entry" })),
      h("li", null, link("/verify", [icon("shield"), "Verify a certificate"], { class: "entry" })),
      h("li", null, h("a", { href: "/docs", class: "entry" }, icon("code"), "API documentation")),
      h("li", null, h("button", { type: "button", class: "entry", on: { click: signOut } }, icon("exit"), "Sign out")),
    ),
  );
  menu.addEventListener("click", (event) => event.target.closest("a, button") && menu.hidePopover());
  const open = h(
    "button",
    {
      type: "button",
      class: "person",
      popovertarget: "person-menu",
      "aria-label": `${displayName}, ${roleName(role)}: menu`,
    },
    avatar(displayName, imageUrl),
    h("span", { class: "person-name", dir: "auto" }, displayName),
  );
  return h("div", { class: "top-end" }, themeButton(), open, menu);
}

/** The other look than the one that is shown. */
function themeButton() {
  const dark = () =>
    window.theme.choice === "auto" ? matchMedia("(prefers-color-scheme: dark)").matches : window.theme.choice === "dark";
  const element = button(dark() ? "Light look" : "Dark look", { kind: "quiet", hidden: true, icon: dark() ? "sun" : "moon" });
  element.addEventListener("click", () => {
    window.theme.choice = dark() ? "light" : "dark";
    const next = themeButton();
    element.replaceWith(next);
    next.focus();
  });
  return element;
}

async function signOut() {
  await session.signOut();
  go("/welcome");
  toast("You are signed out.", "good");
}

/** A quiet note for screen readers. @param {string} text */
export function announce(text) {
  const place =
    document.getElementById("live") ??
    append(document.body, h("div", { id: "live", class: "unseen", role: "status" })).lastElementChild;
  place.textContent = text;
}
