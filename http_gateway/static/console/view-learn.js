/**
 * The player: a lecture's video and notes beside the course's outline.
 * @module
 */

import { api } from "./api.js";
import { h, replace } from "./dom.js";
import { clockTime, percent, score } from "./format.js";
import { lectureSummary } from "./lecture-summary.js";
import { markdown } from "./markdown.js";
import { badge, button, card, empty, heading, icon, progressBar, toast } from "./parts.js";
import { go, link, setTitle } from "./router.js";
import { session } from "./session.js";
import { doneIn, progressIn } from "./view-course.js";
import { reportWatching, resumeAt } from "./watching.js";

export const views = [{ path: "/learn/:courseId/:lectureId", title: "Lecture", within: "/learning", show: showLecture }];

async function showLecture({ params: { courseId, lectureId }, signal }) {
  const [course, lecture, progress] = await Promise.all([
    api.get(`/courses/${courseId}`, { signal }),
    api.get(`/lectures/${lectureId}`, { signal }),
    progressIn(courseId, signal),
  ]);
  setTitle(lecture.title);
  const lesson = { course, lecture, progress, signal, side: h("div"), bottom: h("div", { class: "lesson-end" }) };
  draw(lesson);
  return h(
    "div",
    { class: "lesson" },
    h(
      "div",
      { class: "stack" },
      player(lesson),
      heading(lecture.title, { eyebrow: link(`/courses/${courseId}`, course.title, { dir: "auto" }) }),
      session.user && lectureSummary(lecture, signal),
      lecture.notes ? markdown(lecture.notes) : h("p", { class: "soft" }, "This lecture has no notes."),
      lesson.bottom,
    ),
    h("aside", { class: "lesson-side", "aria-label": "Content of the course" }, lesson.side),
  );
}

/** What changes with the progress. */
function draw(lesson) {
  replace(lesson.side, outline(lesson));
  replace(lesson.bottom, ending(lesson));
}

function player(lesson) {
  const { lecture, progress, signal } = lesson;
  if (!lecture.video?.url)
    return h("div", { class: "player none" }, icon("book"), h("p", null, "This lecture is to be read."));
  const video = h("video", {
    controls: true,
    preload: "metadata",
    playsinline: true,
    src: lecture.video.url,
    "aria-label": `Video: ${lecture.title}`,
  });
  const frame = h("div", { class: "player" }, video);
  video.addEventListener("error", () => replace(frame, broken(lecture)), { signal });
  if (progress) {
    resumeAt(video, progress.lectures.find((item) => item.lectureId === lecture.id)?.positionSeconds ?? 0);
    reportWatching(video, { lectureId: lecture.id, signal, onProgress: (reply) => take(lesson, reply) });
  }
  return frame;
}

const broken = (lecture) =>
  h(
    "div",
    { class: "player-broken", role: "status" },
    icon("alert"),
    h("p", null, "This video cannot be played here."),
    h(
      "a",
      { class: "button small", href: lecture.video.url, target: "_blank", rel: "noopener noreferrer" },
      icon("external"),
      "Open it by itself",
    ),
  );

/** What the server says of the progress; that it was the last lecture is told. */
function take(lesson, { course }) {
  const before = doneIn(lesson.progress).has(lesson.lecture.id);
  lesson.progress = course;
  if (!lesson.signal.aborted) draw(lesson);
  if (!before && course.percent === 100 && doneIn(course).has(lesson.lecture.id))
    toast("That was the last lecture. Well done.", "good");
}

// Below the notes: what to do next.

function ending(lesson) {
  const { course, lecture, progress } = lesson;
  if (!progress) return preview(lesson);
  const all = course.modules.flatMap((module) => module.lectures);
  const place = all.findIndex((item) => item.id === lecture.id);
  const done = doneIn(progress).has(lecture.id);
  const [before, after] = [all[place - 1], all[place + 1]];
  return [
    lecture.quizId && quizCard(lesson),
    h(
      "div",
      { class: "lesson-nav" },
      before ? link(`/learn/${course.id}/${before.id}`, [icon("back"), "Previous"], { class: "button" }) : h("span"),
      done
        ? h("p", { class: "row done-mark" }, icon("check-circle"), "Completed")
        : button("Mark as complete", { kind: after ? "" : "primary", icon: "check", onClick: () => complete(lesson) }),
      after
        ? link(`/learn/${course.id}/${after.id}`, ["Next", icon("arrow")], { class: "button primary" })
        : finish(course, progress),
    ),
  ];
}

function finish(course, progress) {
  if (progress.percent < 100) return link(`/courses/${course.id}`, "Back to the course", { class: "button" });
  if (course.examId && !progress.exam?.passed)
    return link(`/quizzes/${course.examId}`, ["Final exam", icon("arrow")], { class: "button primary" });
  return link(`/courses/${course.id}`, ["To the course", icon("arrow")], { class: "button primary" });
}

async function complete(lesson) {
  take(lesson, await api.post("/progress/lecture", { lectureId: lesson.lecture.id, completed: true }));
}

function quizCard({ lecture, progress }) {
  const quiz = progress.quizzes.find((item) => item.quizId === lecture.quizId);
  const said = quiz?.attempts
    ? [
        badge(quiz.passed ? "Passed" : "Not passed yet", quiz.passed ? "good" : "note"),
        h("span", { class: "soft" }, `Best result ${score(quiz.bestPercent)}`),
      ]
    : h("span", { class: "soft" }, "See what stayed with you.");
  return h(
    "div",
    { class: "callout" },
    icon("quiz"),
    h(
      "div",
      { class: "spread wrap" },
      h("div", null, h("h2", null, "A quiz to this lecture"), h("p", { class: "row" }, said)),
      link(`/quizzes/${lecture.quizId}`, quiz?.attempts ? "Open the quiz" : "Take the quiz", { class: "button" }),
    ),
  );
}

function preview({ course }) {
  if (session.user && !session.is("ROLE_STUDENT"))
    return link(`/courses/${course.id}`, "Back to the course", { class: "button" });
  return empty(
    "This is a free preview. The whole course has quizzes, your progress, and a certificate at its end.",
    button("See the course", { kind: "primary", onClick: () => go(`/courses/${course.id}`) }),
    { icon: "eye", title: "Like it?" },
  );
}

// Beside: the outline.

function outline({ course, lecture, progress }) {
  const done = doneIn(progress);
  return card(
    { class: "lesson-outline" },
    h("p", { class: "outline-head", dir: "auto" }, link(`/courses/${course.id}`, course.title)),
    progress &&
      h(
        "div",
        { class: "stack tight" },
        h(
          "p",
          { class: "spread fine" },
          `${progress.lecturesCompleted} of ${progress.lecturesTotal} complete`,
          h("span", null, percent(progress.percent)),
        ),
        progressBar(progress.percent, "Lectures completed"),
      ),
    h(
      "ol",
      null,
      course.modules.map((module) =>
        h(
          "li",
          null,
          h("h2", { dir: "auto" }, module.title),
          h(
            "ol",
            null,
            module.lectures.map((item) => line(course, item, lecture, progress, done)),
          ),
        ),
      ),
    ),
    course.examId &&
      progress &&
      link(
        `/quizzes/${course.examId}`,
        [icon(progress.exam?.passed ? "check-circle" : "award"), h("span", null, "Final exam")],
        { class: `side-line${progress.exam?.passed ? " done" : ""}` },
      ),
  );
}

function line(course, item, lecture, progress, done) {
  const open = progress || item.preview || session.is("ROLE_INSTRUCTOR", "ROLE_ADMIN", "ROLE_PARENT");
  const mark = [
    icon(done.has(item.id) ? "check-circle" : open ? "circle" : "lock"),
    h("span", { dir: "auto" }, item.title, h("span", { class: "unseen" }, done.has(item.id) ? " (completed)" : "")),
    item.durationSeconds > 0 && h("span", { class: "soft time" }, clockTime(item.durationSeconds)),
  ];
  const classes = `side-line${done.has(item.id) ? " done" : ""}`;
  if (!open) return h("li", null, h("span", { class: classes }, mark));
  return h(
    "li",
    null,
    link(`/learn/${course.id}/${item.id}`, mark, { class: classes, "aria-current": item.id === lecture.id ? "page" : null }),
  );
}
