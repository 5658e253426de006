/**
 * One student in a course, as the teacher sees them: progress, results, certificate, feedback to begin a talk with.
 * @module
 */

import { api } from "./api.js";
import { feedbackCard } from "./assistant-feedback.js";
import { certificateCard } from "./certificate-card.js";
import { courseFrame, ownCourse } from "./course-frame.js";
import { courseProgress } from "./course-progress.js";
import { h } from "./dom.js";
import { icon } from "./parts.js";
import { link } from "./router.js";
import { chatPath } from "./chat-path.js";

/** @param {import("./router.js").Place} place */
export async function show({ params: { courseId, studentId }, query, signal, refresh }) {
  const [course, progress] = await Promise.all([
    ownCourse(courseId, signal),
    api.get(`/progress/course/${courseId}`, { query: { studentId }, signal }),
  ]);
  const person = { id: studentId, displayName: query.get("name") || "Student", imageUrl: "" };
  const certificate = progress.certificateId && (await api.get(`/certificates/${progress.certificateId}/verify`, { signal }));
  const attemptPath = (attempt) => `/attempts/${attempt.id}`;
  return courseFrame(
    course,
    "/students",
    refresh,
    h("p", { class: "back" }, icon("back"), link(`/teach/${courseId}/students`, "Gradebook")),
    h(
      "div",
      { class: "part-head" },
      h("h2", { class: "part-title", dir: "auto" }, person.displayName),
      link(chatPath(person), [icon("chat"), h("span", null, "Message")], { class: "button" }),
    ),
    h(
      "div",
      { class: "pair wide-first" },
      courseProgress({ course, progress, studentId, attemptPath, signal }),
      h(
        "div",
        null,
        certificate && certificateCard(certificate, refresh),
        feedbackCard({ courseId, studentId, name: person.displayName }),
      ),
    ),
  );
}
