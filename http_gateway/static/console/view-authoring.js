/**
 * Writing a course: its outline, its details, its lectures, quizzes and exam, its coupons. Each page is a module of its own,
 * fetched when it is first looked at.
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
  {
    path: "/teach/new",
    title: "New course",
    roles: TEACHERS,
    within: "/teach",
    show: async () => (await import("./authoring-new.js")).show(),
  },
  page("", "Outline", () => import("./authoring-outline.js")),
  page("/details", "Details", () => import("./authoring-details.js")),
  page("/lectures/:lectureId", "Lecture", () => import("./authoring-lecture.js")),
  page("/lectures/:lectureId/quiz", "Quiz", () => import("./authoring-quiz.js")),
  page("/exam", "Final exam", () => import("./authoring-quiz.js")),
  page("/coupons", "Coupons", () => import("./authoring-coupons.js")),
];
