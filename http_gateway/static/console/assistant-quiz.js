/**
 * Questions drafted from a lecture's own text; each shows the sentence that supports its right answer. The author picks.
 * @module
 */

import { api } from "./api.js";
import { h, replace } from "./dom.js";
import { plural } from "./format.js";
import { button, dialog, empty, failure, field, form, icon } from "./parts.js";
import { draftOf } from "./quiz-shape.js";
import { madeBy } from "./assistant.js";

const LEVELS = [
  ["DIFFICULTY_EASY", "Easy: true or false"],
  ["DIFFICULTY_MEDIUM", "Medium: choices"],
  ["DIFFICULTY_HARD", "Hard: from memory"],
];

/**
 * Ask for drafts, and let the author pick.
 * @param {any} course @param {any} lecture the quiz's; without one the author chooses
 * @returns {Promise<import("./quiz-shape.js").Draft[] | undefined>} those that were picked
 */
export async function draftQuestions(course, lecture) {
  const readable = course.modules.flatMap((module) => module.lectures).filter((item) => item.hasNotes);
  const place = h("div", { class: "drafts" });
  const running = new AbortController();
  const content = (close) => {
    if (!lecture && !readable.length)
      return empty("Questions are drafted from a lecture's notes, and no lecture has any yet.", null, { icon: "file" });
    return [
      options(lecture, readable, (values) =>
        run({ ...values, lectureId: lecture?.id ?? values.lectureId }, place, close, running.signal),
      ),
      place,
    ];
  };
  const opened = dialog({ title: "Draft questions", content, wide: true });
  const picked = await opened.closed;
  running.abort();
  return picked;
}

const options = (lecture, readable, onSubmit) =>
  form({
    fields: [
      h(
        "p",
        { class: "soft" },
        lecture ? "From the notes of this lecture, as they were saved last." : "From the notes of one lecture.",
      ),
      !lecture &&
        field({
          label: "Lecture",
          name: "lectureId",
          type: "select",
          options: readable.map(({ id, title }) => [id, title]),
          optional: false,
        }),
      h(
        "div",
        { class: "field-row" },
        field({ label: "Questions", name: "questionCount", type: "number", min: 1, max: 20, value: 5, required: true }),
        field({ label: "Difficulty", name: "difficulty", type: "select", options: LEVELS, value: LEVELS[1][0], optional: false }),
      ),
    ],
    submit: "Draft",
    onSubmit,
  });

/** Show each question as soon as it is checked. */
async function run(body, place, close, signal) {
  const list = h("ul", { class: "draft-picks" });
  const status = h("p", { class: "soft", role: "status" }, "Reading the notes …");
  const picks = [];
  const take = ({ question, evidence }) => {
    const box = h("input", { type: "checkbox", checked: true, "aria-label": `Take: ${question.prompt}` });
    picks.push({ box, draft: draftOf({ ...question, id: "" }, evidence) });
    list.append(
      h(
        "li",
        null,
        h(
          "label",
          null,
          box,
          h(
            "span",
            { class: "draft-text", dir: "auto" },
            h("strong", null, question.prompt),
            answerOf(question),
            h("span", { class: "draft-evidence" }, icon("file"), evidence),
          ),
        ),
      ),
    );
    status.textContent = `${plural(picks.length, "question")} so far …`;
  };
  replace(place, status, list);
  try {
    for await (const event of api.events("/ai/quiz/stream", body, { signal })) {
      if (event.question) take(event.question);
      if (event.draft) replace(place, madeBy(event.draft), list, picker(picks, close));
    }
  } catch (error) {
    if (!signal.aborted) replace(place, failure(error, null));
  }
}

const picker = (picks, close) =>
  h(
    "div",
    { class: "dialog-actions" },
    button("Add to the quiz", {
      kind: "primary",
      onClick: () => close(picks.filter(({ box }) => box.checked).map(({ draft }) => draft)),
    }),
  );

function answerOf({ choices = [], answerKey = {} }) {
  const right = new Set(answerKey.choiceIds ?? []);
  if (choices.length)
    return h(
      "span",
      { class: "draft-choices-line" },
      choices.map(({ id, text }) =>
        h(
          "span",
          { class: right.has(id) ? "is-right" : null },
          right.has(id) && icon("check"),
          text,
          right.has(id) && h("span", { class: "unseen" }, " (right)"),
        ),
      ),
    );
  return h(
    "span",
    { class: "draft-choices-line" },
    h(
      "span",
      { class: "is-right" },
      icon("check"),
      answerKey.acceptedTexts?.join(" or ") || String(answerKey.number ?? [...right].join(", ")),
    ),
  );
}
