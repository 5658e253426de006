/**
 * One course: what it teaches, what it costs, how to get in, and how far one is.
 * @module
 */

import { ApiError, api } from "./api.js";
import { chatPath } from "./chat-path.js";
import { cover } from "./cover.js";
import { h } from "./dom.js";
import { clockTime, date, duration, label, language, number, percent, plural, price, score } from "./format.js";
import { markdown } from "./markdown.js";
import { badge, button, card, facts, field, form, heading, icon, progressBar, toast } from "./parts.js";
import { go, link, setTitle } from "./router.js";
import { session } from "./session.js";

export const views = [{ path: "/courses/:courseId", title: "Course", within: "/courses", show: showCourse }];

async function showCourse({ params: { courseId }, signal, refresh }) {
  const [course, progress] = await Promise.all([api.get(`/courses/${courseId}`, { signal }), progressIn(courseId, signal)]);
  setTitle(course.title);
  const feedback = progress && (await import("./assistant-feedback.js")).feedbackCard({ courseId, name: "you" });
  return h(
    "div",
    null,
    banner(course),
    h(
      "div",
      { class: "course-page" },
      progress ? progressCard(course, progress) : entryCard(course, refresh),
      h("div", { class: "stack" }, about(course), outline(course, progress), feedback),
      card({ title: "At a glance" }, facts(factsOf(course))),
    ),
  );
}

/** The student's progress in a course; null: not enrolled, or no student. @param {string} courseId @param {AbortSignal} signal */
export async function progressIn(courseId, signal) {
  if (!session.is("ROLE_STUDENT") || !(await isEnrolled(courseId, signal))) return null;
  try {
    return await api.get(`/progress/course/${courseId}`, { signal });
  } catch (error) {
    if (error instanceof ApiError && [403, 404].includes(error.status)) return null;
    throw error;
  }
}

/** Asking for the progress in a course that one is not in would be a failed request each time. */
async function isEnrolled(courseId, signal) {
  for await (const page of api.list("/enrollments", { query: { pageSize: 100 }, signal })) {
    if (page.enrollments.some((enrollment) => enrollment.courseId === courseId)) return true;
  }
  return false;
}

const banner = (course) =>
  h(
    "div",
    { class: "banner" },
    cover(course),
    h(
      "div",
      { class: "banner-text" },
      heading(course.title, {
        back: link("/courses", "Courses"),
        eyebrow: course.status !== "COURSE_STATUS_PUBLISHED" ? badge(label(course.status, "COURSE_STATUS"), "note") : null,
        lead: h("span", { dir: "auto" }, `by ${course.instructor.displayName}`),
      }),
      course.tags.length > 0 &&
        h(
          "ul",
          { class: "row tags", "aria-label": "Topics" },
          course.tags.map((tag) =>
            h("li", null, link(`/courses?tag=${encodeURIComponent(tag)}`, `#${tag}`, { class: "tag", dir: "auto" })),
          ),
        ),
    ),
  );

const about = (course) =>
  card({ title: "What it is about" }, markdown(course.description || "There is no description yet.", { top: 3 }));

function factsOf(course) {
  const seconds = course.modules.flatMap((module) => module.lectures).reduce((sum, lecture) => sum + lecture.durationSeconds, 0);
  return [
    ["Lectures", plural(course.lectureCount, "lecture")],
    ["Videos", seconds > 0 && duration(seconds)],
    ["Final exam", course.examId ? "Yes, with a certificate" : "None"],
    ["Level", label(course.level, "COURSE_LEVEL")],
    ["Language", language(course.language)],
    ["Students", course.enrollmentCount > 0 && number(course.enrollmentCount)],
    ["Published", date(course.publishTime)],
  ];
}

// The way in.

function entryCard(course, refresh) {
  const isFree = !course.price?.amountMinor;
  const open = course.status === "COURSE_STATUS_PUBLISHED";
  const parts = { class: "entry-card" };
  if (!open)
    return card(
      parts,
      h("p", { class: "big-price" }, price(course.price)),
      h("p", { class: "soft" }, "This course is not open to new students."),
    );
  if (session.user && !session.is("ROLE_STUDENT")) {
    return card(
      parts,
      h("p", { class: "big-price" }, price(course.price)),
      h("p", { class: "soft" }, "Students enroll here. You are signed in for another role."),
      session.user.id === course.instructor.id && link(`/teach/${course.id}`, "Edit this course", { class: "button wide" }),
    );
  }
  if (!session.user) {
    return card(
      parts,
      h("p", { class: "big-price" }, price(course.price)),
      link(`/welcome?next=${encodeURIComponent(`/courses/${course.id}`)}`, isFree ? "Sign in to enroll" : "Sign in to buy", {
        class: "button primary large wide",
      }),
    );
  }
  return card(parts, h("p", { class: "big-price" }, price(course.price)), isFree ? enroll(course, refresh) : buy(course));
}

const enroll = (course, refresh) =>
  h(
    "div",
    { class: "stack" },
    button("Enroll for free", {
      kind: "primary",
      class: "large wide",
      onClick: async () => {
        await api.post(`/courses/${course.id}/enroll`);
        toast("You are in. Have fun.", "good");
        await refresh();
      },
    }),
    h("p", { class: "fine" }, "The whole course is yours at once."),
  );

function buy(course) {
  const coupon = h(
    "details",
    { class: "coupon" },
    h("summary", null, "I have a coupon"),
    field({ label: "Coupon code", name: "couponCode", optional: false, autocomplete: "off", autocapitalize: "characters" }),
  );
  return h(
    "div",
    { class: "stack" },
    form({
      class: "buy",
      submit: "Buy this course",
      fields: coupon,
      onSubmit: async ({ couponCode }) => {
        const payment = await api.post("/payments/create", { courseId: course.id, couponCode: couponCode.trim() });
        if (!payment.checkoutUrl) go(`/payments/${payment.id}`);
        else location.assign(payment.checkoutUrl);
        await new Promise((resolve) => setTimeout(resolve, 3000)); // the button stays busy while the page is left
      },
    }),
    h("p", { class: "fine" }, "You pay at our payment provider and come back here. The course opens as soon as it is paid."),
  );
}

// How far one is.

function progressCard(course, progress) {
  const next = nextLecture(course, progress);
  const begun = progress.lecturesCompleted > 0 || progress.lectures.some((lecture) => lecture.positionSeconds > 0);
  return card(
    { title: "Your progress", class: "entry-card" },
    h(
      "div",
      { class: "stack" },
      h(
        "div",
        null,
        h(
          "p",
          { class: "spread" },
          h("strong", { class: "big-number" }, percent(progress.percent)),
          h("span", { class: "soft" }, `${progress.lecturesCompleted} of ${plural(progress.lecturesTotal, "lecture")}`),
        ),
        progressBar(progress.percent, "Lectures completed"),
      ),
      next &&
        link(`/learn/${course.id}/${next.id}`, begun ? "Continue" : "Start learning", { class: "button primary large wide" }),
      !next &&
        course.examId &&
        !progress.exam?.passed &&
        link(`/quizzes/${course.examId}`, "Take the final exam", { class: "button primary large wide" }),
      progress.certificateId &&
        link("/certificates", [icon("award"), "Your certificate"], { class: "button primary large wide" }),
      progress.completeTime && h("p", { class: "row soft" }, icon("check-circle"), `Completed on ${date(progress.completeTime)}`),
      link(chatPath(course.instructor), [icon("chat"), h("span", null, "Ask the teacher")], { class: "button wide" }),
    ),
  );
}

/** The first lecture that is not complete. @param {any} course @param {any} progress */
export function nextLecture(course, progress) {
  const done = doneIn(progress);
  return course.modules.flatMap((module) => module.lectures).find((lecture) => !done.has(lecture.id));
}

/** The ids of the completed lectures. @param {any} progress */
export const doneIn = (progress) =>
  new Set((progress?.lectures ?? []).filter((item) => item.completeTime).map((item) => item.lectureId));

// What is in it.

function outline(course, progress) {
  return card(
    {
      title: "Content",
      actions: h(
        "span",
        { class: "soft" },
        `${plural(course.modules.length, "module")}, ${plural(course.lectureCount, "lecture")}`,
      ),
    },
    h(
      "ol",
      { class: "outline" },
      course.modules.map((module) =>
        h(
          "li",
          null,
          h("h3", { dir: "auto" }, module.title),
          h(
            "ol",
            null,
            module.lectures.map((lecture) => lectureLine(course, lecture, progress)),
          ),
        ),
      ),
      course.examId && examLine(course, progress),
    ),
  );
}

function lectureLine(course, lecture, progress) {
  const open = Boolean(progress) || lecture.preview || session.user?.id === course.instructor.id;
  const done = doneIn(progress).has(lecture.id);
  const [name, said] = done
    ? ["check-circle", "Completed"]
    : open
      ? ["play", "Not completed"]
      : ["lock", "For students of this course"];
  const quiz = (progress?.quizzes ?? []).find((item) => item.quizId === lecture.quizId);
  return h(
    "li",
    { class: `outline-line${done ? " done" : ""}` },
    icon(name),
    h("span", { class: "unseen" }, `${said}: `),
    h(
      "span",
      { class: "outline-title", dir: "auto" },
      open ? link(`/learn/${course.id}/${lecture.id}`, lecture.title) : lecture.title,
    ),
    !progress && lecture.preview && badge("Preview", "info"),
    lecture.quizId && (quiz?.attempts ? badge(`Quiz ${score(quiz.bestPercent)}`, quiz.passed ? "good" : "note") : badge("Quiz")),
    lecture.durationSeconds > 0 && h("span", { class: "soft time" }, clockTime(lecture.durationSeconds)),
  );
}

function examLine(course, progress) {
  const exam = progress?.exam;
  const title = h("span", { class: "outline-title" }, progress ? link(`/quizzes/${course.examId}`, "Final exam") : "Final exam");
  return h(
    "li",
    { class: "exam" },
    h(
      "div",
      { class: `outline-line${exam?.passed ? " done" : ""}` },
      icon(exam?.passed ? "check-circle" : "award"),
      title,
      exam?.attempts
        ? badge(
            exam.passed ? `Passed with ${score(exam.bestPercent)}` : `Best so far ${score(exam.bestPercent)}`,
            exam.passed ? "good" : "note",
          )
        : badge("Opens when all lectures are complete"),
    ),
  );
}
