/**
 * What became of an attempt: the score, and each question with its key and explanation.
 * @module
 */

import { h } from "./dom.js";
import { dateTime, decimal, percent, score } from "./format.js";
import { markdown } from "./markdown.js";
import { badge, heading, icon } from "./parts.js";
import { link } from "./router.js";
import { session } from "./session.js";

/**
 * @param {any} attempt submitted
 * @param {any} quiz
 * @returns {HTMLElement}
 */
export function results(attempt, quiz) {
  const isExam = quiz.kind === "QUIZ_KIND_FINAL_EXAM";
  const own = session.user?.id === attempt.studentId;
  return h(
    "div",
    { class: "narrow exam" },
    heading(quiz.title, { eyebrow: `Attempt ${attempt.number}`, lead: `Handed in ${dateTime(attempt.submitTime)}` }),
    h(
      "div",
      { class: "stack" },
      verdict(attempt, quiz),
      own && next(attempt, quiz, isExam),
      attempt.questions.map((question, place) => questionResult(question, place, attempt)),
    ),
  );
}

function verdict(attempt, quiz) {
  const points = `${decimal(attempt.pointsEarned)} of ${decimal(attempt.pointsPossible)} points`;
  const passed = attempt.passed;
  return h(
    "div",
    { class: `verdict ${passed ? "good" : "bad"}`, role: "status" },
    icon(passed ? "check-circle" : "refresh"),
    h(
      "div",
      null,
      h("h2", null, passed ? "Passed" : "Not passed"),
      h("p", null, points, quiz.passPercent > 0 && `, ${percent(quiz.passPercent)} needed`),
    ),
    h("strong", { class: "verdict-score" }, score(attempt.percent)),
  );
}

function next(attempt, quiz, isExam) {
  return h(
    "div",
    { class: "row" },
    isExam && attempt.passed && link("/certificates", [icon("award"), "Your certificate"], { class: "button primary" }),
    link(`/quizzes/${attempt.quizId}`, attempt.passed ? "All attempts" : "Try again", {
      class: attempt.passed ? "button" : "button primary",
    }),
    quiz.lectureId
      ? link(`/learn/${attempt.courseId}/${quiz.lectureId}`, "Back to the lecture", { class: "button" })
      : link(`/courses/${attempt.courseId}`, "Back to the course", { class: "button" }),
  );
}

function questionResult(question, place, attempt) {
  const result = attempt.results.find((item) => item.questionId === question.id);
  const answer = attempt.answers.find((item) => item.questionId === question.id);
  const partly = !result?.correct && result?.pointsEarned > 0;
  const [text, kind, sign] = result?.correct
    ? ["Right", "good", "check"]
    : partly
      ? ["Partly right", "note", "check"]
      : [answer ? "Wrong" : "No answer", "bad", "close"];
  return h(
    "section",
    { class: "card question", "aria-label": `Question ${place + 1}: ${text}` },
    h("p", { class: "question-head" }, h("span", { class: "eyebrow" }, `Question ${place + 1}`), badge(text, kind, sign)),
    h("div", { class: "prompt" }, markdown(question.prompt, { top: 4 })),
    question.choices.length ? choiceList(question, answer) : typed(question, answer, result),
    question.explanation && h("div", { class: "explanation" }, icon("spark"), markdown(question.explanation, { top: 5 })),
  );
}

function choiceList(question, answer) {
  const right = new Set(question.answerKey?.choiceIds ?? []);
  const given = new Set(answer?.choiceIds ?? []);
  return h(
    "ul",
    { class: "choices" },
    question.choices.map((choice) => {
      const kind = right.has(choice.id) ? "right" : given.has(choice.id) ? "wrong" : "";
      return h(
        "li",
        { class: `choice ${kind}` },
        icon(kind === "right" ? "check" : kind === "wrong" ? "close" : "circle"),
        h("span", { dir: "auto" }, choice.text),
        h(
          "span",
          { class: "choice-said" },
          [given.has(choice.id) && "your answer", right.has(choice.id) && "right"].filter(Boolean).join(", "),
        ),
      );
    }),
  );
}

function typed(question, answer, result) {
  const { acceptedTexts = [], number, tolerance } = question.answerKey ?? {};
  const given = answer?.text || (typeof answer?.number === "number" ? String(answer.number) : "");
  const key = acceptedTexts.length
    ? acceptedTexts.join(" or ")
    : typeof number === "number"
      ? `${number}${tolerance ? ` ± ${tolerance}` : ""}`
      : "";
  return h(
    "ul",
    { class: "choices" },
    given &&
      h(
        "li",
        { class: `choice ${result?.correct ? "right" : "wrong"}` },
        icon(result?.correct ? "check" : "close"),
        h("span", { dir: "auto" }, given),
        h("span", { class: "choice-said" }, "your answer"),
      ),
    key &&
      !result?.correct &&
      h(
        "li",
        { class: "choice right" },
        icon("check"),
        h("span", { dir: "auto" }, key),
        h("span", { class: "choice-said" }, "right"),
      ),
  );
}
