/**
 * What comes over the page: dialogs, questions, and notes that go by themselves.
 * @module
 */

import { h, newId } from "./dom.js";
import { icon } from "./icons.js";

const TOAST_MS = 6000;
const MAX_TOASTS = 4;

/**
 * Open a dialog. Escape and the close button close it without a value; the focus goes back to where it was.
 * @param {{title: string, content: any, actions?: {text: string, kind?: string, value?: any}[], wide?: boolean}} props
 *   `content`: children, or a
 *   function that makes them and is given `close`
 * @returns {{element: HTMLDialogElement, close: (value?: any) => void, closed: Promise<any>}}
 */
export function dialog({ title, content, actions = [], wide = false }) {
  const id = newId("dialog");
  let value;
  const element = h("dialog", { "aria-labelledby": id, class: wide ? "wide" : null });
  const close = (answer) => {
    value = answer;
    element.close();
  };
  const before = document.activeElement;
  element.append(
    h(
      "div",
      { class: "dialog-head" },
      h("h2", { id }, title),
      h(
        "button",
        { type: "button", class: "button quiet only-icon", "aria-label": "Close", on: { click: () => close() } },
        icon("close"),
      ),
    ),
    h("div", { class: "dialog-body" }, typeof content === "function" ? content(close) : content),
  );
  if (actions.length) {
    element.append(
      h(
        "div",
        { class: "dialog-actions" },
        actions.map((action) =>
          h(
            "button",
            { type: "button", class: `button ${action.kind ?? ""}`.trim(), on: { click: () => close(action.value) } },
            action.text,
          ),
        ),
      ),
    );
  }
  const closed = new Promise((resolve) => {
    element.addEventListener("close", () => {
      element.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      resolve(value);
    });
  });
  document.body.append(element);
  element.showModal();
  return { element, close, closed };
}

/**
 * Ask before something that cannot be undone.
 * @param {{title: string, text: any, action: string, kind?: string}} props `action`: what the button says
 * @returns {Promise<boolean>}
 */
export async function confirm({ title, text, action, kind = "danger" }) {
  const actions = [
    { text: "Cancel", value: false },
    { text: action, kind, value: true },
  ];
  return (await dialog({ title, content: h("p", null, text), actions }).closed) === true;
}

/**
 * A note in the corner that goes by itself, later while it is pointed at. Screen readers read it.
 * @param {any} text
 * @param {"" | "good" | "bad" | "note"} [kind]
 * @param {{action?: {text: string, onClick: () => void}}} [more]
 */
export function toast(text, kind = "", { action } = {}) {
  const list = toastList();
  const element = h(
    "div",
    { class: `toast ${kind}`.trim() },
    icon({ good: "check-circle", bad: "alert", note: "bell" }[kind] ?? "bell"),
    h("div", { class: "toast-text" }, text),
    action &&
      h(
        "button",
        { type: "button", class: "button small", on: { click: () => (element.remove(), action.onClick()) } },
        action.text,
      ),
    h(
      "button",
      {
        type: "button",
        class: "button quiet small only-icon",
        "aria-label": "Dismiss",
        on: { click: () => element.remove() },
      },
      icon("close"),
    ),
  );
  list.append(element);
  while (list.childElementCount > MAX_TOASTS) list.firstElementChild.remove();
  const leave = () => (element.matches(":hover, :focus-within") ? setTimeout(leave, 1000) : element.remove());
  setTimeout(leave, TOAST_MS);
}

function toastList() {
  let list = document.querySelector(".toasts");
  if (!list) {
    list = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
    document.body.append(list);
  }
  // Above an open dialog, as far as there is one.
  const open = [...document.querySelectorAll("dialog[open]")].at(-1);
  (open ?? document.body).append(list);
  return list;
}
