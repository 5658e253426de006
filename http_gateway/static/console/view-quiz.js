/**
 * A quiz or final exam before it begins: its rules, earlier attempts, and the way in.
 * @module
 */

import { ApiError, api } from "./api.js";
import { h } from "./dom.js";
import { ago, dateTime, duration, percent, plural, score } from "./format.js";
import { badge, button, card, facts, heading, icon } from "./parts.js";
import { go, link, setTitle } from "./router.js";
import { progressIn } from "./view-course.js";

export const views = [
  { path: "/quizzes/:quizId", title: "Quiz", roles: ["ROLE_STUDENT"], within: "/learning", show: showQuiz },
];

async function showQuiz({ params: { quizId }, signal }) {
  const quiz = await api.get(`/quizzes/${quizId}`, { signal });
  const [course, progress, attempts] = await Promise.all([
    api.get(`/courses/${quiz.courseId}`, { signal }).catch(withoutCourse),
    progressIn(quiz.courseId, signal),
    api.get(`/quizzes/${quizId}/attempts`, { query: { pageSize: 100 }, signal }),
  ]);
  setTitle(quiz.title);
  const isExam = quiz.kind === "QUIZ_KIND_FINAL_EXAM";
  const back = quiz.lectureId
    ? link(`/learn/${quiz.courseId}/${quiz.lectureId}`, "Back to the lecture")
    : link(`/courses/${quiz.courseId}`, "Back to the course");
  return h(
    "div",
    { class: "narrow" },
    heading(quiz.title, {
      back,
      eyebrow: isExam ? "Final exam" : "Quiz",
      lead: course && h("span", { dir: "auto" }, course.title),
    }),
    h("div", { class: "stack" }, wayIn(quiz, isExam, progress, attempts.attempts), history(attempts.attempts)),
  );
}

/** Courses that are offered no more have quizzes all the same. */
function withoutCourse(error) {
  if (error instanceof ApiError && error.status === 404) return null;
  throw error;
}

function wayIn(quiz, isExam, progress, attempts) {
  return card(
    {},
    facts([
      ["Questions", String(quiz.questions.length)],
      ["To pass", quiz.passPercent > 0 && `${percent(quiz.passPercent)} of the points`],
      ["Time", quiz.timeLimitSeconds ? duration(quiz.timeLimitSeconds) : "As long as you like"],
      [
        "Attempts",
        quiz.maxAttempts ? `${plural(attempts.length, "attempt")} of ${quiz.maxAttempts} used` : "As many as you like",
      ],
    ]),
    begin(quiz, isExam, progress, attempts),
  );
}

function begin(quiz, isExam, progress, attempts) {
  const open = attempts.find((attempt) => attempt.status === "ATTEMPT_STATUS_IN_PROGRESS");
  const left = (progress?.lecturesTotal ?? 0) - (progress?.lecturesCompleted ?? 0);
  if (open)
    return h(
      "div",
      { class: "begin" },
      h("p", null, `You began ${ago(open.startTime)}. Your answers are saved.`),
      link(`/attempts/${open.id}`, "Go on", { class: "button primary large" }),
    );
  if (isExam && left > 0) {
    return h(
      "div",
      { class: "callout note" },
      icon("lock"),
      h(
        "div",
        null,
        h("h2", null, "Not open yet"),
        h("p", null, `The exam opens when all lectures are complete: ${plural(left, "lecture")} to go.`),
      ),
    );
  }
  if (quiz.maxAttempts && attempts.length >= quiz.maxAttempts) {
    const passed = attempts.some((attempt) => attempt.passed);
    return h(
      "div",
      { class: `callout ${passed ? "good" : "note"}` },
      icon(passed ? "check-circle" : "flag"),
      h(
        "p",
        null,
        passed
          ? "Passed. There are no attempts left, and you need none."
          : "There are no attempts left. Your teacher can help.",
      ),
    );
  }
  return h(
    "div",
    { class: "begin" },
    quiz.timeLimitSeconds > 0 &&
      h(
        "p",
        { class: "soft" },
        "The clock starts with the first look at the questions, and goes on when you close the page.",
      ),
    button(attempts.length ? "Try again" : isExam ? "Start the exam" : "Start", {
      kind: "primary",
      class: "large",
      onClick: async () => go(`/attempts/${(await api.post(`/quizzes/${quiz.id}/attempts`)).id}`),
    }),
  );
}

function history(attempts) {
  const rows = attempts.filter((attempt) => attempt.status === "ATTEMPT_STATUS_SUBMITTED");
  if (!rows.length) return null;
  return card(
    { title: "Your attempts" },
    h(
      "ul",
      { class: "lines" },
      rows.map((attempt) =>
        h(
          "li",
          { class: "line" },
          h(
            "span",
            { class: "line-main" },
            link(`/attempts/${attempt.id}`, `Attempt ${attempt.number}`),
            h("span", { class: "fine" }, dateTime(attempt.submitTime)),
          ),
          badge(attempt.passed ? "Passed" : "Not passed", attempt.passed ? "good" : "bad"),
          h("strong", { class: "numeric" }, score(attempt.percent)),
        ),
      ),
    ),
  );
}
