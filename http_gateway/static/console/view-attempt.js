/**
 * An attempt at a quiz or exam: answering against the server's clock, and its results.
 * @module
 */

import { AnswerSheet } from "./answers.js";
import { api, serverNow } from "./api.js";
import { h, replace } from "./dom.js";
import { clockTime, plural, timeOfDay } from "./format.js";
import { button, confirm, heading, icon, textOf, toast } from "./parts.js";
import { setTitle } from "./router.js";
import { questionField } from "./questions.js";
import { results } from "./attempt-results.js";
import { session } from "./session.js";

const UNTITLED = { title: "Quiz", kind: "", passPercent: 0 }; // parents read attempts, not quizzes
const HURRY_SECONDS = 60;
const TOLD_SECONDS = [300, 60, 10]; // when the time that is left is said aloud

export const views = [
  {
    path: "/attempts/:attemptId",
    title: "Attempt",
    roles: ["ROLE_STUDENT", "ROLE_PARENT", "ROLE_INSTRUCTOR", "ROLE_ADMIN"],
    within: "/learning",
    show: showAttempt,
  },
];

async function showAttempt({ params: { attemptId }, signal, refresh }) {
  const attempt = await api.get(`/attempts/${attemptId}`, { signal });
  // Parents read attempts, but not quizzes.
  const quiz = session.is("ROLE_PARENT")
    ? UNTITLED
    : await api.get(`/quizzes/${attempt.quizId}`, { signal }).catch(() => UNTITLED);
  setTitle(quiz.title);
  if (attempt.status === "ATTEMPT_STATUS_SUBMITTED") return results(attempt, quiz);
  return sheetOf(attempt, quiz, signal, refresh);
}

function sheetOf(attempt, quiz, signal, refresh) {
  const sheet = new AnswerSheet(attempt, signal);
  const hand = async () => {
    await sheet.submit();
    await refresh();
    scrollTo(0, 0);
  };
  const bar = h(
    "div",
    { class: "exam-bar" },
    progressOf(attempt, sheet, signal),
    saving(sheet, signal),
    attempt.deadline && timer(attempt, signal, hand),
  );
  const questions = attempt.questions.map((question, place) =>
    questionField(question, place, sheet.get(question.id), (answer) => sheet.set(answer)),
  );
  return h(
    "div",
    { class: "narrow exam" },
    heading(quiz.title, { eyebrow: `Attempt ${attempt.number}` }),
    bar,
    h(
      "div",
      { class: "stack" },
      questions,
      h(
        "div",
        { class: "row" },
        button("Hand in", { kind: "primary", class: "large", onClick: () => handIn(attempt, sheet, hand) }),
        h("p", { class: "fine" }, "You see the results at once."),
      ),
    ),
  );
}

async function handIn(attempt, sheet, hand) {
  const missing = attempt.questions.length - sheet.count;
  if (
    missing &&
    !(await confirm({
      title: "Hand in already?",
      text: `${plural(missing, "question")} without an answer ${missing === 1 ? "counts" : "count"} as wrong.`,
      action: "Hand in",
      kind: "primary",
    }))
  )
    return;
  await hand();
}

function progressOf(attempt, sheet, signal) {
  const element = h("span", { class: "soft" });
  const draw = () => replace(element, `${sheet.count} of ${attempt.questions.length} answered`);
  sheet.addEventListener("state", draw, { signal });
  draw();
  return element;
}

function saving(sheet, signal) {
  const element = h("span", { class: "saving", role: "status" });
  const draw = () => {
    const said = {
      saved: sheet.savedAt ? `Saved at ${timeOfDay(sheet.savedAt.toISOString())}` : "",
      saving: "Saving …",
      waiting: "Not saved yet. Trying again …",
      closed: "",
    }[sheet.state];
    element.classList.toggle("lost", sheet.state === "waiting");
    replace(element, said && icon({ saved: "check", saving: "refresh", waiting: "alert" }[sheet.state]), said);
  };
  sheet.addEventListener("state", draw, { signal });
  draw();
  return element;
}

/** What is left by the server's clock. At its end the sheet is handed in. */
function timer(attempt, signal, hand) {
  const shown = h("strong", { class: "numeric" });
  const spoken = h("span", { class: "unseen", role: "status" });
  const element = h("span", { class: "timer", role: "timer" }, icon("clock"), shown, h("span", { class: "unseen" }, " left"));
  const told = new Set(TOLD_SECONDS.filter((seconds) => seconds * 1000 > new Date(attempt.deadline).getTime() - serverNow()));
  let isOver = false;
  const tick = () => {
    const left = Math.max(0, (new Date(attempt.deadline).getTime() - serverNow()) / 1000);
    replace(shown, clockTime(Math.ceil(left)));
    element.classList.toggle("hurry", left <= HURRY_SECONDS);
    const due = TOLD_SECONDS.find((seconds) => left <= seconds && !told.has(seconds));
    if (due) replace(spoken, `${clockTime(Math.ceil(left))} left`);
    if (due) TOLD_SECONDS.filter((seconds) => seconds >= due).forEach((seconds) => told.add(seconds));
    if (left > 0 || isOver) return;
    isOver = true;
    clearInterval(beat);
    hand().catch((error) => toast(`Your time is over. ${textOf(error)}`, "bad"));
  };
  const beat = setInterval(tick, 500);
  signal.addEventListener("abort", () => clearInterval(beat));
  tick();
  return h("span", null, element, spoken);
}
