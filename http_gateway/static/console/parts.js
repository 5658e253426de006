/**
 * The pieces that views are made of. Each has its name, works by keyboard and says its state in words.
 * @module
 */

import { ApiError } from "./api.js";
import { h, newId, replace } from "./dom.js";
import { toast } from "./dialogs.js";
import { percent } from "./format.js";
import { icon } from "./icons.js";

export { confirm, dialog, toast } from "./dialogs.js";
export { field, form } from "./forms.js";
export { icon } from "./icons.js";

/**
 * A button. While the promise of `onClick` is open it cannot be pressed again; what it rejects with is told in a toast.
 * @param {string} text
 * @param {{kind?: "primary" | "danger" | "quiet" | "", icon?: string, small?: boolean, onClick?: (event: Event) => any,
 *   hidden?: boolean} & Record<string, any>} [props] `hidden`: the text is for screen readers alone; all else goes to the element
 * @returns {HTMLButtonElement}
 */
export function button(text, { kind = "", icon: name, small, hidden, onClick, class: more = "", ...rest } = {}) {
  const classes = ["button", kind, small && "small", hidden && "only-icon", more].filter(Boolean).join(" ");
  const element = h(
    "button",
    { type: "button", class: classes, "aria-label": hidden ? text : null, title: hidden ? text : null, ...rest },
    name && icon(name),
    !hidden && h("span", null, text),
  );
  if (onClick) element.addEventListener("click", (event) => busyWhile(element, () => onClick(event)));
  return element;
}

/** Keep a control from being used again until the work is done; a failure becomes a toast. */
async function busyWhile(element, work) {
  if (element.getAttribute("aria-busy") === "true") return;
  element.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    if (error?.name !== "AbortError") toast(textOf(error), "bad");
  } finally {
    element.removeAttribute("aria-busy");
  }
}

/** What went wrong, in a sentence. @param {any} error */
export function textOf(error) {
  if (!(error instanceof ApiError)) return error?.message || "Something went wrong.";
  if (error.status === 429) return `That was a bit fast. Try again ${inSeconds(error.retryAfterSeconds)}.`;
  if (error.status >= 500) return error.detail || "The server has a problem. Try again in a moment.";
  const missing = error.violations.map((item) => item.description || item.field);
  return [error.detail || error.message, ...missing.filter((text) => !error.detail.includes(text))].join(" ");
}

const inSeconds = (seconds) => (seconds ? `in ${Math.ceil(seconds)} s` : "in a moment");

/** What a page begins with. @param {string} title @param {{lead?: any, actions?: any, back?: any, eyebrow?: any}} [more] */
export function heading(title, { lead, actions, back, eyebrow } = {}) {
  return h(
    "header",
    { class: "page-head" },
    back && h("p", { class: "back" }, icon("back"), back),
    h(
      "div",
      { class: "page-title" },
      h(
        "div",
        null,
        eyebrow && h("p", { class: "eyebrow" }, eyebrow),
        h("h1", { dir: "auto" }, title),
        lead && h("p", { class: "lead" }, lead),
      ),
      actions && h("div", { class: "actions" }, actions),
    ),
  );
}

/** A box. @param {{title?: any, actions?: any, class?: string, level?: number}} props @param {...any} children */
export function card({ title, actions, class: more = "", level = 2, ...rest } = {}, ...children) {
  const id = title ? newId("card") : null;
  return h(
    "section",
    { class: `card ${more}`.trim(), "aria-labelledby": id, ...rest },
    (title || actions) &&
      h(
        "div",
        { class: "card-head" },
        title && h(`h${level}`, { id }, title),
        actions && h("div", { class: "actions" }, actions),
      ),
    children,
  );
}

/** A state in a word. @param {string} text @param {"good" | "bad" | "note" | "info" | ""} [kind] @param {string} [iconName] */
export const badge = (text, kind = "", iconName) =>
  h("span", { class: `badge ${kind}`.trim() }, iconName && icon(iconName), text);

/**
 * A person's picture, or the first letters of the name.
 * @param {string} name
 * @param {string} [imageUrl]
 * @param {string} [size]
 */
export function avatar(name, imageUrl = "", size = "") {
  if (imageUrl.startsWith("https:"))
    return h("img", { class: `avatar ${size}`, src: imageUrl, alt: "", referrerpolicy: "no-referrer" });
  const words = name.split(/\s+/).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...(word ?? "")][0] ?? "").join("");
  const hue = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 6, 0);
  return h("span", { class: `avatar tone-${hue} ${size}`, "aria-hidden": "true" }, letters.toUpperCase());
}

/** A number with its name. @param {string} name @param {any} value @param {any} [hint] */
export const stat = (name, value, hint) =>
  h("div", { class: "stat" }, h("dt", null, name), h("dd", null, value, hint && h("span", { class: "hint" }, hint)));

/** Numbers with their names, side by side. @param {...any} children of `stat` */
export const stats = (...children) => h("dl", { class: "stats" }, children);

/** Names and values, one below the other; empty values are left out. @param {[string, any][]} rows */
export const facts = (rows) =>
  h(
    "dl",
    { class: "facts" },
    rows.filter(([, value]) => value).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
  );

/** How far something is. @param {number} value of 100 @param {string} label */
export function progressBar(value, label) {
  const shown = Math.max(0, Math.min(100, value));
  return h(
    "div",
    {
      class: `progress${shown >= 100 ? " full" : ""}`,
      role: "progressbar",
      "aria-label": label,
      "aria-valuenow": Math.round(shown),
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-valuetext": percent(shown),
    },
    h("span", { style: { "inline-size": `${shown}%` } }),
  );
}

/**
 * Tabs; the arrow keys move among them, and what a tab shows is made when it is first looked at.
 * @param {{label: string, tabs: {id: string, text: string, show: () => any}[], selected?: string, onSelect?: (id:
 *   string) => void}} props
 */
export function tabs({ label, tabs: items, selected, onSelect }) {
  const panel = h("div", { role: "tabpanel", class: "tab-panel", tabindex: -1, id: newId("panel") });
  const made = new Map();
  const list = h("div", { role: "tablist", class: "tabs", "aria-label": label });
  const buttons = items.map((item) =>
    h(
      "button",
      { type: "button", role: "tab", id: newId("tab"), "aria-controls": panel.id, on: { click: () => select(item) } },
      item.text,
    ),
  );
  list.append(...buttons);
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (buttons.indexOf(document.activeElement) + step + items.length) % items.length;
    buttons[next].focus();
    select(items[next]);
  });
  async function select(item, told = true) {
    buttons.forEach((element, place) => {
      const chosen = items[place] === item;
      element.setAttribute("aria-selected", String(chosen));
      element.tabIndex = chosen ? 0 : -1;
      if (chosen) panel.setAttribute("aria-labelledby", element.id);
    });
    if (told) onSelect?.(item.id);
    panel.dataset.tab = item.id;
    if (!made.has(item.id)) {
      replace(panel, loading());
      made.set(
        item.id,
        await Promise.resolve()
          .then(item.show)
          .catch((error) => failure(error, () => (made.delete(item.id), select(item)))),
      );
    }
    if (panel.dataset.tab === item.id) replace(panel, made.get(item.id));
  }
  select(items.find((item) => item.id === selected) ?? items[0], false);
  return h("div", { class: "tabbed" }, list, panel);
}

/**
 * A table that scrolls by itself where it is wider than the page.
 * @param {{caption: string, columns: {text: string, value: (row: any) => any, numeric?: boolean, sort?: "ascending" |
 *   "descending" | "none",
 *   onSort?: () => void}[], rows: any[], empty?: string}} props
 */
export function table({ caption, columns, rows, empty: nothing = "There is nothing here yet." }) {
  const head = columns.map(({ text, numeric, sort, onSort }) =>
    h(
      "th",
      { scope: "col", class: numeric ? "numeric" : null, "aria-sort": sort && sort !== "none" ? sort : null },
      onSort
        ? h(
            "button",
            { type: "button", class: "sort", on: { click: onSort } },
            text,
            icon(sort === "descending" ? "down" : "up"),
          )
        : text,
    ),
  );
  const body = h(
    "tbody",
    null,
    rows.map((row) => rowOf(row, columns)),
  );
  const content = h("table", null, h("caption", { class: "unseen" }, caption), h("thead", null, h("tr", null, head)), body);
  if (!rows.length) body.append(h("tr", null, h("td", { colspan: columns.length, class: "nothing" }, nothing)));
  return h("div", { class: "table-scroll", role: "region", "aria-label": caption, tabindex: 0 }, content);
}

const rowOf = (row, columns) =>
  h(
    "tr",
    null,
    columns.map((column) => h("td", { class: column.numeric ? "numeric" : null }, column.value(row))),
  );

/** That something is on its way. */
export const loading = (text = "Loading …") =>
  h("div", { class: "loading", role: "status" }, h("span", { class: "spinner", "aria-hidden": "true" }), text);

/**
 * That there is nothing, and what one can do about it.
 * @param {string} text
 * @param {any} [action]
 * @param {{icon?: string, title?: string}} [more]
 */
export const empty = (text, action, { icon: name = "compass", title } = {}) =>
  h("div", { class: "empty" }, icon(name), title && h("h2", null, title), h("p", null, text), action);

/** That something failed. @param {any} error @param {(() => any) | null} [retry] @param {string} [title] */
export function failure(error, retry, title) {
  const offline = error instanceof ApiError && error.status === 0;
  const missing = error instanceof ApiError && [403, 404].includes(error.status);
  return h(
    "div",
    { class: "empty failure", role: "alert" },
    icon(offline ? "refresh" : "alert"),
    h("h1", null, title ?? (offline ? "No connection" : missing ? "This is not here for you" : "This did not work")),
    h("p", null, textOf(error)),
    error?.requestId && !missing && !offline && h("p", { class: "fine" }, `Request ${error.requestId}`),
    retry && !missing
      ? button("Try again", { kind: "primary", onClick: retry })
      : h("a", { class: "button", href: "#/" }, "Go home"),
  );
}

/**
 * A "Show more" button that goes when there is no more.
 * @param {() => Promise<boolean>} loadNext resolves with whether there is still more
 */
export function more(loadNext, text = "Show more") {
  const element = h(
    "div",
    { class: "more" },
    button(text, {
      onClick: async () => {
        if (!(await loadNext())) element.remove();
      },
    }),
  );
  return element;
}

/**
 * A list by its pages: the first one at once, the others when asked for.
 * @param {{pages: AsyncIterator<any>, into: Element, render: (page: any) => any, empty?: any}} props `pages` of `api.list`;
 *   `render` gives a page's children; `empty` stands for a list without any
 * @returns {Promise<HTMLElement>}
 */
export async function pager({ pages, into, render, empty: nothing }) {
  const next = async () => {
    const { value: page, done } = await pages.next();
    if (!done) into.append(...[render(page)].flat());
    return !done && Boolean(page.nextPageToken);
  };
  const goesOn = await next();
  if (!into.childElementCount && nothing) return h("div", null, nothing);
  return h("div", { class: "paged" }, into, goesOn && more(next));
}
