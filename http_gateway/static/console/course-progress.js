/**
 * How far a student is in a course, lecture by lecture, with their attempts: for teachers and parents.
 * @module
 */

import { api } from "./api.js";
import { h, replace } from "./dom.js";
import { ago, date, dateTime, plural, score } from "./format.js";
import { badge, button, card, empty, icon, loading, more, progressBar, stat, stats } from "./parts.js";
import { link } from "./router.js";

/**
 * @param {{course: any, progress: any, studentId: string, attemptPath: (attempt: any) => string, signal: AbortSignal}} props
 *   `attemptPath`: where an attempt is shown in full
 */
export function courseProgress({ course, progress, studentId, attemptPath, signal }) {
  const lectures = new Map(progress.lectures.map((item) => [item.lectureId, item]));
  const quizzes = new Map(progress.quizzes.map((item) => [item.quizId, item]));
  const show = (title, quiz) =>
    quiz?.attempts
      ? button(plural(quiz.attempts, "attempt"), {
          small: true,
          kind: "quiet",
          onClick: (event) => open(event, title, quiz.quizId),
        })
      : null;
  const open = (event, title, quizId) =>
    toggleAttempts(event.target.closest("li"), { title, quizId, studentId, attemptPath, signal });
  const row = (lecture) => {
    const state = lectures.get(lecture.id);
    const quiz = quizzes.get(lecture.quizId);
    return h(
      "li",
      { class: `step${state?.completeTime ? " done" : ""}` },
      icon(state?.completeTime ? "check-circle" : "circle"),
      h(
        "span",
        { class: "step-title", dir: "auto" },
        lecture.title,
        h("span", { class: "unseen" }, state?.completeTime ? ", complete" : ", not complete"),
      ),
      quiz?.attempts > 0 && badge(`Quiz ${score(quiz.bestPercent)}`, quiz.passed ? "good" : "note"),
      show(lecture.title, quiz),
    );
  };
  return h(
    "div",
    null,
    summary(progress),
    card(
      { title: "Lectures" },
      course.modules.map((module) => [
        h("h3", { class: "step-module", dir: "auto" }, module.title),
        h("ul", { class: "steps" }, module.lectures.map(row)),
      ]),
      progress.exam &&
        h(
          "ul",
          { class: "steps" },
          h(
            "li",
            { class: `step exam${progress.exam.passed ? " done" : ""}` },
            icon("award"),
            h("span", { class: "step-title" }, "Final exam"),
            progress.exam.attempts > 0
              ? badge(
                  `${progress.exam.passed ? "Passed, " : ""}${score(progress.exam.bestPercent)}`,
                  progress.exam.passed ? "good" : "note",
                )
              : badge("Not taken"),
            show("the final exam", progress.exam),
          ),
        ),
    ),
  );
}

function summary(progress) {
  return card(
    {},
    progressBar(progress.percent, "Progress"),
    stats(
      stat("Lectures", `${progress.lecturesCompleted} of ${progress.lecturesTotal}`),
      stat("Last active", progress.lastActivityTime ? ago(progress.lastActivityTime) : "Not begun"),
      stat("Completed", progress.completeTime ? date(progress.completeTime) : "Not yet"),
    ),
  );
}

/** Open the list of attempts below a line, or close it. */
async function toggleAttempts(line, { title, quizId, studentId, attemptPath, signal }) {
  const present = line.querySelector(".attempts");
  if (present) {
    present.remove();
    return;
  }
  const place = h("div", { class: "attempts" }, loading());
  line.append(place);
  const pages = api.list(`/quizzes/${quizId}/attempts`, { query: { studentId, pageSize: 20 }, signal });
  const list = h("ul", { "aria-label": `Attempts at ${title}` });
  const next = async () => {
    const { value } = await pages.next();
    list.append(...(value?.attempts ?? []).map((attempt) => h("li", null, attemptLine(attempt, attemptPath(attempt)))));
    return Boolean(value?.nextPageToken);
  };
  const goesOn = await next();
  replace(place, list.childElementCount ? list : empty("No attempts."), goesOn && more(next));
}

/** An attempt in a line. @param {any} attempt @param {string} path where it is shown in full */
export function attemptLine(attempt, path) {
  const over = attempt.status === "ATTEMPT_STATUS_SUBMITTED";
  return [
    over ? link(path, `Attempt ${attempt.number}`) : h("span", null, `Attempt ${attempt.number}`),
    h("time", { class: "meta", datetime: attempt.startTime }, dateTime(attempt.submitTime ?? attempt.startTime)),
    over
      ? badge(`${score(attempt.percent)}${attempt.passed ? " passed" : ""}`, attempt.passed ? "good" : "note")
      : badge("Open", "info"),
  ];
}
