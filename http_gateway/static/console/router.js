/**
 * Pages within the page. The path stands behind the "#": the server has one page, and none of its REST paths is in the way.
 *
 * A view says where it is, who may see it and how it is made:
 *
 *     export const views = [
 *       { path: "/learn/:courseId/:lectureId", title: "Lecture", roles: ["ROLE_STUDENT"], show: showLecture,
 *         nav: { text: "Learn", icon: "book", order: 10 } },
 *     ];
 * @module
 */

import { h } from "./dom.js";
import { failure, loading } from "./parts.js";
import { session } from "./session.js";

const LOADING_AFTER_MS = 150;

/**
 * @typedef {object} Place what a view is told
 * @property {Record<string, string>} params the parts of the path that a view names with ":"
 * @property {URLSearchParams} query
 * @property {AbortSignal} signal aborts when the person goes elsewhere, or the view is made anew
 * @property {() => Promise<void>} refresh make the view anew in its place
 *
 * @typedef {object} View
 * @property {string} path such as "/courses/:courseId"
 * @property {string} title of the window; a view may say more with `setTitle`
 * @property {string[]} [roles] who may see it ("ROLE_STUDENT"); without it everybody, signed in or not
 * @property {{text: string, icon: string, order: number, roles?: string[]}} [nav] its place in the navigation, of all
 *   that may see
 *   it or of `roles` alone
 * @property {string} [within] the path of the navigation entry that it belongs to
 * @property {(place: Place) => Promise<Element> | Element} show
 */

/** @type {{views: () => Promise<View[]>, outlet: HTMLElement, announce: (text: string) => void}} */
let page;
let leave = new AbortController();
let shown = { path: "", view: /** @type {View | null} */ (null) };

/**
 * Show what the address says, now and whenever it changes.
 * @param {() => Promise<View[]>} views those of whoever is signed in
 * @param {HTMLElement} outlet
 * @param {(text: string) => void} announce tells screen readers where they are
 */
export function start(views, outlet, announce) {
  page = { views, outlet, announce };
  addEventListener("hashchange", () => show({ moved: true }));
  session.addEventListener("change", () => show({ moved: false }));
  show({ moved: false });
}

/** Where the person is. @returns {{path: string, query: URLSearchParams}} */
export function here() {
  const [path, query] = location.hash.replace(/^#/, "").split("?");
  return { path: path || "/", query: new URLSearchParams(query) };
}

/** Go to a path, such as "/courses?tag=music". @param {string} path @param {{replace?: boolean}} [how] */
export function go(path, { replace = false } = {}) {
  if (replace) {
    history.replaceState(null, "", `#${path}`);
    show({ moved: true });
  } else if (location.hash === `#${path}`) {
    show({ moved: true });
  } else {
    location.hash = path;
  }
}

/** Keep a changed query in the address without making the view anew. @param {string} path */
export function note(path) {
  history.replaceState(null, "", `#${path}`);
}

/** A link to a path. @param {string} path @param {any} content @param {object} [props] */
export const link = (path, content, props = {}) => h("a", { href: `#${path}`, ...props }, content);

/** Make the present view anew in its place. */
export const refresh = () => show({ moved: false });

/** What the window is called. @param {string} title */
export function setTitle(title) {
  document.title = title ? `${title} · SkillForge` : "SkillForge";
}

/** The view that is shown. @returns {View | null} */
export const currentView = () => shown.view;

/** Whether the person at this tab may see a view. @param {View} view */
export const maySee = (view) => !view.roles || session.is(...view.roles);

async function show({ moved }) {
  const { path, query } = here();
  leave.abort(new DOMException("The person went elsewhere.", "AbortError"));
  leave = new AbortController();
  const { signal } = leave;
  const { outlet } = page;
  const wait = setTimeout(() => moved && outlet.replaceChildren(loading()), LOADING_AFTER_MS);
  outlet.setAttribute("aria-busy", "true");
  const { view, content } = await made(path, query, signal);
  clearTimeout(wait);
  if (signal.aborted) return;
  if (!content) return go(`/welcome?next=${encodeURIComponent(location.hash.slice(1))}`, { replace: true });
  outlet.removeAttribute("aria-busy");
  shown = { path, view };
  outlet.replaceChildren(content);
  dispatchEvent(new CustomEvent("shown", { detail: shown }));
  if (moved) arrive(outlet);
}

/** The view of a path and its element, or the one that says why there is none; no element: one has to sign in first. */
async function made(path, query, signal) {
  try {
    const { view, params } = match(await page.views(), path);
    if (signal.aborted) return {};
    setTitle(view?.title ?? "Not found");
    if ((!view || !maySee(view)) && !session.user) return {};
    if (!view || !maySee(view))
      return {
        view: null,
        content: failure(new Error("There is no such page, or it is not for your role."), null, "Page not found"),
      };
    return { view, content: await view.show({ params, query, signal, refresh }) };
  } catch (error) {
    if (!signal.aborted) console.info("This view cannot be shown:", error);
    return { view: null, content: failure(error, refresh) };
  }
}

/** Begin at the top; screen readers and the keyboard begin at the heading. */
function arrive(outlet) {
  scrollTo(0, 0);
  const heading = outlet.querySelector("h1");
  const target = outlet.querySelector("[autofocus]") ?? heading;
  if (heading) heading.tabIndex = -1;
  target?.focus({ preventScroll: true });
  page.announce(heading?.textContent ?? document.title);
}

function match(views, path) {
  for (const view of views) {
    const params = paramsOf(view.path, path);
    if (params) return { view, params };
  }
  return { view: null, params: {} };
}

/** The values that a path gives to a template's names; null: it is another path. */
function paramsOf(template, path) {
  const names = template.split("/");
  const parts = path.split("/");
  if (names.length !== parts.length) return null;
  const params = {};
  for (const [place, name] of names.entries()) {
    if (name.startsWith(":")) params[name.slice(1)] = decoded(parts[place]);
    else if (name !== parts[place]) return null;
  }
  return params;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
