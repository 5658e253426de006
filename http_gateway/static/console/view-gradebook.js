/**
 * The students of a course: the gradebook, one student in full, and how the course does.
 * @module
 */

import { TEACHERS } from "./course-frame.js";

const page = (path, title, load) => ({
  path: `/teach/:courseId${path}`,
  title,
  roles: TEACHERS,
  within: "/teach",
  show: async (place) => (await load()).show(place),
});

/** @type {import("./router.js").View[]} */
export const views = [
  page("/students", "Students", () => import("./gradebook-students.js")),
  page("/students/:studentId", "Student", () => import("./gradebook-student.js")),
  page("/insights", "Insights", () => import("./gradebook-insights.js")),
];
