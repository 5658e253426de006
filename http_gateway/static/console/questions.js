/**
 * Questions to be answered: each is a group of controls with its prompt as the name.
 * @module
 */

import { h, newId } from "./dom.js";
import { plural } from "./format.js";
import { markdown } from "./markdown.js";

const HINTS = {
  QUESTION_KIND_MULTIPLE_CHOICE: "Several may be right.",
  QUESTION_KIND_SHORT_TEXT: "A word or a few.",
  QUESTION_KIND_NUMERIC: "A number.",
};

/**
 * @param {any} question
 * @param {number} place from 0
 * @param {any} answer given so far
 * @param {(answer: any) => void} onAnswer
 * @returns {HTMLElement}
 */
export function questionField(question, place, answer, onAnswer) {
  const id = newId("question");
  const points = question.points > 1 ? plural(question.points, "point") : "";
  const hint = [HINTS[question.kind], points].filter(Boolean).join(" ");
  return h(
    "fieldset",
    { class: "card question", "aria-labelledby": id },
    h(
      "p",
      { class: "question-head" },
      h("span", { class: "eyebrow" }, `Question ${place + 1}`),
      hint && h("span", { class: "fine" }, hint),
    ),
    h("div", { id, class: "prompt" }, markdown(question.prompt, { top: 4 })),
    controls(question, answer, onAnswer, id),
  );
}

function controls(question, answer, onAnswer, labelId) {
  const { id: questionId, kind } = question;
  if (kind === "QUESTION_KIND_SHORT_TEXT") {
    return h("input", {
      type: "text",
      "aria-labelledby": labelId,
      autocomplete: "off",
      maxlength: 5000,
      value: answer?.text ?? "",
      dir: "auto",
      on: { input: (event) => onAnswer({ questionId, text: event.target.value }) },
    });
  }
  if (kind === "QUESTION_KIND_NUMERIC") return numberControl(questionId, answer, onAnswer, labelId);
  return choices(question, answer, onAnswer);
}

function numberControl(questionId, answer, onAnswer, labelId) {
  return h("input", {
    type: "text",
    inputmode: "decimal",
    class: "short",
    "aria-labelledby": labelId,
    autocomplete: "off",
    value: answer?.number ?? "",
    on: {
      input: (event) => {
        const typed = event.target.value.trim().replace(",", ".");
        const number = Number(typed);
        const isNumber = typed !== "" && Number.isFinite(number);
        event.target.setAttribute("aria-invalid", String(typed !== "" && !isNumber));
        onAnswer({ questionId, ...(isNumber ? { number } : {}) });
      },
    },
  });
}

function choices(question, answer, onAnswer) {
  const several = question.kind === "QUESTION_KIND_MULTIPLE_CHOICE";
  const name = newId("choice");
  const list = h(
    "div",
    { class: "choices" },
    question.choices.map((choice) =>
      h(
        "label",
        { class: "choice" },
        h("input", {
          type: several ? "checkbox" : "radio",
          name,
          value: choice.id,
          checked: (answer?.choiceIds ?? []).includes(choice.id),
        }),
        h("span", { dir: "auto" }, choice.text),
      ),
    ),
  );
  list.addEventListener("change", () => {
    const choiceIds = [...list.querySelectorAll("input:checked")].map((input) => input.value);
    onAnswer({ questionId: question.id, choiceIds });
  });
  return list;
}
