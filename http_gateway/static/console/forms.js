/**
 * Fields and forms: what is typed stays when a send fails, and a refusal stands beside the field it is about.
 * @module
 */

import { ApiError } from "./api.js";
import { h, newId, replace } from "./dom.js";
import { icon } from "./icons.js";

/**
 * A control with its label, hint and place for a fault.
 * @param {{label: string, name: string, type?: string, hint?: any, required?: boolean, value?: any, options?: ([string,
 *   string] | string)[]}
 *   & Record<string, any>} props `type`: an input's, or "textarea", "select" (with `options`: values and texts), "checkbox"
 * @returns {HTMLElement}
 */
export function field({
  label,
  name,
  type = "text",
  hint,
  required = false,
  value,
  options = [],
  class: more = "",
  ...rest
}) {
  const id = newId(name);
  const control = controlOf({ type, value, options, rest: { id, name, required, ...rest } });
  const notes = [
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
    h("p", { class: "fault", id: `${id}-fault`, hidden: true }),
  ];
  control.setAttribute("aria-describedby", [hint && `${id}-hint`, `${id}-fault`].filter(Boolean).join(" "));
  control.addEventListener("input", () => say(control, ""));
  const text = h(
    "label",
    { for: id },
    label,
    !required && type !== "checkbox" && rest.optional !== false && h("span", { class: "optional" }, "optional"),
  );
  control.removeAttribute("optional");
  const parts = type === "checkbox" ? [h("div", { class: "check" }, control, text)] : [text, control];
  return h("div", { class: `field ${type} ${more}`.trim() }, parts, notes);
}

function controlOf({ type, value, options, rest }) {
  if (type === "textarea") return h("textarea", { rows: 4, ...rest, value: value ?? "" });
  if (type === "checkbox") return h("input", { type, ...rest, checked: Boolean(value) });
  if (type !== "select") return h("input", { type, ...rest, value: type === "file" ? null : (value ?? "") });
  const pairs = options.map((option) => (typeof option === "string" ? [option, option] : option));
  return h(
    "select",
    rest,
    pairs.map(([key, text]) => h("option", { value: key, selected: key === (value ?? "") }, text)),
  );
}

/**
 * A form. `onSubmit` is given the values by name: numbers as numbers (null where empty), checkboxes as true or false, files as
 * File or null. While its promise is open the form cannot be sent again. A rejection is shown; violations beside their fields.
 * @param {{fields: any, submit: string, onSubmit: (values: Record<string, any>, form: HTMLFormElement) => any, kind?:
 *   string, extra?: any,
 *   class?: string, label?: string}} props `extra`: more buttons
 * @returns {HTMLFormElement}
 */
export function form({ fields, submit, onSubmit, kind = "primary", extra, class: more = "", label }) {
  const problem = h("div", { class: "form-problem", role: "alert", hidden: true });
  const send = h("button", { type: "submit", class: `button ${kind}`.trim() }, submit);
  const element = h(
    "form",
    { class: `form ${more}`.trim(), novalidate: true, "aria-label": label },
    problem,
    fields,
    h("div", { class: "form-actions" }, send, extra),
  );
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (send.getAttribute("aria-busy") === "true") return;
    problem.hidden = true;
    if (!filledIn(element)) return;
    send.setAttribute("aria-busy", "true");
    try {
      await onSubmit(valuesOf(element), element);
    } catch (error) {
      if (error?.name !== "AbortError") show(element, problem, error);
    } finally {
      send.removeAttribute("aria-busy");
    }
  });
  return element;
}

/** The form's values by the names of its fields. @param {HTMLFormElement} element @returns {Record<string, any>} */
export function valuesOf(element) {
  const values = {};
  for (const control of controls(element)) {
    if (control.type === "checkbox") values[control.name] = control.checked;
    else if (control.type === "radio") values[control.name] = control.checked ? control.value : (values[control.name] ?? "");
    else if (control.type === "number") values[control.name] = control.value === "" ? null : Number(control.value);
    else if (control.type === "file") values[control.name] = control.files[0] ?? null;
    else values[control.name] = control.value;
  }
  return values;
}

const controls = (element) => [...element.elements].filter((control) => control.name);

/** Say what the browser itself finds wrong, and go to the first of it. */
function filledIn(element) {
  const wrong = controls(element).filter((control) => !control.checkValidity());
  for (const control of controls(element)) say(control, wrong.includes(control) ? control.validationMessage : "");
  wrong[0]?.focus();
  return wrong.length === 0;
}

function show(element, problem, error) {
  const violations = error instanceof ApiError ? error.violations : [];
  const others = [];
  let first = null;
  for (const { field: path, description } of violations) {
    const control = controlNamed(element, path);
    if (!control) others.push(description || path);
    else say(control, description);
    first ??= control;
  }
  const summary =
    violations.length && !others.length
      ? "Please look at the marked fields."
      : error?.detail || error?.message || "This did not work.";
  replace(
    problem,
    icon("alert"),
    h(
      "div",
      null,
      h("p", null, summary),
      others.length > 0 &&
        h(
          "ul",
          null,
          others.map((text) => h("li", null, text)),
        ),
    ),
  );
  problem.hidden = false;
  if (first) first.focus();
}

/** The control that a violation's path is about: "price.currency" is that of the name, or of its last part. */
function controlNamed(element, path) {
  const names = [path, path.replace(/\[\d+\].*$/, ""), path.split(".").at(-1)];
  const found = names.map((name) => controls(element).find((control) => control.name === name));
  return found.find((control) => control) ?? null;
}

/** Put a fault beside a control; "" takes it away. */
function say(control, text) {
  const place = document.getElementById(`${control.id}-fault`);
  if (!place) return;
  place.textContent = text;
  place.hidden = !text;
  if (text) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
}
