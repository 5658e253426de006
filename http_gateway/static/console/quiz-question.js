/**
 * One question while it is written.
 * @module
 */

import { h, newId } from "./dom.js";
import { button, card, field, icon } from "./parts.js";
import { KINDS, asKind, hasChoices, newChoice } from "./quiz-shape.js";

/** @typedef {import("./quiz-shape.js").Draft} Draft */

/**
 * The editor of a question. It writes into `question`, and says so by `changed`; `redraw` is for what changes its shape.
 * @param {Draft} question @param {number} place from 0
 * @param {{changed: () => void, redraw: (next: Draft, focus?: string) => void, move: (step: number) => void, copy: ()
 *   => void, remove: () => void, faults: string[]}} act
 */
export function questionEditor(question, place, { changed, redraw, move, copy, remove, faults }) {
  const write = (name, read = (control) => control.value) => ({
    on: { input: (event) => ((question[name] = read(event.target)), changed()) },
  });
  const number = place + 1;
  const tool = (text, iconName, onClick) =>
    button(`${text} question ${number}`, {
      icon: iconName,
      kind: "quiet",
      small: true,
      hidden: true,
      onClick,
      "data-key": `${text}-${place}`,
    });
  return card(
    {
      title: `Question ${number}`,
      class: `draft-question${faults.length ? " has-faults" : ""}`,
      "data-place": place,
      actions: [
        tool("Move up", "up", () => move(-1)),
        tool("Move down", "down", () => move(1)),
        tool("Copy", "copy", copy),
        tool("Delete", "trash", remove),
      ],
    },
    faults.length > 0 &&
      h(
        "div",
        { class: "form-problem", role: "alert" },
        icon("alert"),
        h(
          "ul",
          null,
          faults.map((text) => h("li", null, text)),
        ),
      ),
    wired(
      field({
        label: "Question",
        name: "prompt",
        type: "textarea",
        rows: 2,
        required: true,
        maxlength: 10_000,
        value: question.prompt,
        dir: "auto",
      }),
      write("prompt"),
    ),
    h(
      "div",
      { class: "field-row" },
      wired(field({ label: "Kind", name: "kind", type: "select", options: KINDS, value: question.kind, optional: false }), {
        on: { change: (event) => redraw(asKind(question, event.target.value), "kind") },
      }),
      wired(
        field({ label: "Points", name: "points", type: "number", min: 1, max: 1000, value: question.points, required: true }),
        write("points", (control) => Number(control.value)),
      ),
    ),
    keyEditor(question, write, changed, redraw),
    wired(
      field({
        label: "Explanation",
        name: "explanation",
        type: "textarea",
        rows: 2,
        maxlength: 10_000,
        value: question.explanation,
        hint: "Students read it after they submitted.",
        dir: "auto",
      }),
      write("explanation"),
    ),
    question.support &&
      h(
        "blockquote",
        { class: "support" },
        h("p", { dir: "auto" }, question.support),
        h("footer", null, "From the lecture: the sentence that supports the right answer"),
      ),
  );
}

/** Listen to a field's control. */
function wired(element, { on }) {
  const control = element.querySelector("input, textarea, select");
  for (const [name, listener] of Object.entries(on)) control.addEventListener(name, listener);
  return element;
}

function keyEditor(question, write, changed, redraw) {
  if (hasChoices(question.kind)) return choices(question, changed, redraw);
  if (question.kind === "QUESTION_KIND_TRUE_FALSE") return trueOrFalse(question, changed);
  if (question.kind === "QUESTION_KIND_SHORT_TEXT") {
    return wired(
      field({
        label: "Accepted answers",
        name: "texts",
        type: "textarea",
        rows: 3,
        required: true,
        value: question.texts,
        hint: "One a line. Case, width and extra spaces do not matter.",
        dir: "auto",
      }),
      write("texts"),
    );
  }
  const numeric = (control) => (control.value === "" ? null : Number(control.value));
  return h(
    "div",
    { class: "field-row" },
    wired(
      field({ label: "Right number", name: "number", type: "number", step: "any", required: true, value: question.number }),
      write("number", numeric),
    ),
    wired(
      field({
        label: "Tolerance",
        name: "tolerance",
        type: "number",
        step: "any",
        min: 0,
        value: question.tolerance,
        hint: "How far an answer may be away.",
      }),
      write("tolerance", numeric),
    ),
  );
}

/** A radio button or checkbox that says what is right. */
function rightBox(question, id, label, type, group, changed) {
  const set = (event) => {
    const others = type === "radio" ? [] : question.right.filter((other) => other !== id);
    question.right = event.target.checked ? [...others, id] : others;
    changed();
  };
  return h("input", { type, name: group, "aria-label": label, checked: question.right.includes(id), on: { change: set } });
}

function choices(question, changed, redraw) {
  const group = newId("right");
  const type = question.kind === "QUESTION_KIND_SINGLE_CHOICE" ? "radio" : "checkbox";
  const row = (choice, place) =>
    h(
      "div",
      { class: "choice-row" },
      rightBox(question, choice.id, `Choice ${place + 1} is right`, type, group, changed),
      h("input", {
        type: "text",
        value: choice.text,
        maxlength: 2000,
        dir: "auto",
        "aria-label": `Choice ${place + 1}`,
        "data-key": `choice-${place}`,
        placeholder: `Choice ${place + 1}`,
        on: { input: (event) => ((choice.text = event.target.value), changed()) },
      }),
      question.choices.length > 2 &&
        button(`Delete choice ${place + 1}`, {
          icon: "close",
          kind: "quiet",
          small: true,
          hidden: true,
          onClick: () =>
            redraw({
              ...question,
              choices: question.choices.filter((other) => other !== choice),
              right: question.right.filter((id) => id !== choice.id),
            }),
        }),
    );
  const add = () => redraw({ ...question, choices: [...question.choices, newChoice()] }, `choice-${question.choices.length}`);
  return h(
    "fieldset",
    { class: "draft-choices" },
    h("legend", null, type === "radio" ? "Choices: mark the right one" : "Choices: mark all that are right"),
    question.choices.map(row),
    question.choices.length < 50 && button("Add a choice", { icon: "plus", small: true, kind: "quiet", onClick: add }),
  );
}

function trueOrFalse(question, changed) {
  const group = newId("right");
  const option = (id, text) => h("label", { class: "choice-row" }, rightBox(question, id, text, "radio", group, changed), text);
  return h(
    "fieldset",
    { class: "draft-choices" },
    h("legend", null, "The statement is"),
    option("true", "True"),
    option("false", "False"),
  );
}
