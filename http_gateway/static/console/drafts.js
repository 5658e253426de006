/**
 * What is typed and not saved yet outlives a reload and a wrong click: it is kept in this tab until it is saved or thrown away.
 * @module
 */

import { h } from "./dom.js";
import { button, icon } from "./parts.js";
import { session } from "./session.js";

const nameOf = (key) => `skillforge.unsaved.${session.user?.id}.${key}`;

/** @param {string} key @returns {any} what was kept; null: nothing */
export function unsaved(key) {
  try {
    return JSON.parse(sessionStorage.getItem(nameOf(key)) ?? "null");
  } catch {
    return null;
  }
}

/** @param {string} key @param {any} value */
export function keep(key, value) {
  try {
    sessionStorage.setItem(nameOf(key), JSON.stringify(value));
  } catch {
    // The tab's storage is full: what is typed lives as long as the page.
  }
}

/** @param {string} key */
export const forget = (key) => sessionStorage.removeItem(nameOf(key));

/** That a page shows what was typed before, with the way back to what is saved. @param {string} key @param {() => any} refresh */
export const unsavedNote = (key, refresh) =>
  h(
    "div",
    { class: "notice note", role: "status" },
    icon("edit"),
    h("span", null, "These are changes of yours that are not saved yet."),
    button("Discard them", { small: true, onClick: () => (forget(key), refresh()) }),
  );
