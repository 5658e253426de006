/**
 * A child's course in full, with feedback drafted from the child's real progress.
 * @module
 */

import { api } from "./api.js";
import { feedbackCard } from "./assistant-feedback.js";
import { courseProgress } from "./course-progress.js";
import { h } from "./dom.js";
import { live, whenever } from "./live.js";
import { heading } from "./parts.js";
import { link } from "./router.js";

/** @param {import("./router.js").Place} place */
export async function show({ params: { childId, courseId }, signal, refresh }) {
  const [course, progress] = await Promise.all([
    api.get(`/courses/${courseId}`, { signal }),
    api.get(`/progress/course/${courseId}`, { query: { studentId: childId }, signal }),
  ]);
  whenever(["progress.changed"], signal, (data) => data.courseId === courseId && refresh());
  const name = live.people.get(childId)?.displayName ?? "Your child";
  return h(
    "div",
    null,
    heading(course.title, { back: link(`/family/${childId}`, name), lead: `Taught by ${course.instructor.displayName}` }),
    h(
      "div",
      { class: "pair wide-first" },
      courseProgress({ course, progress, studentId: childId, attemptPath: ({ id }) => `/attempts/${id}`, signal }),
      feedbackCard({ courseId, studentId: childId, name }),
    ),
  );
}
