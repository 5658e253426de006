/**
 * What stands over every page of a course that one teaches: its name, its state, its parts, publishing.
 * @module
 */

import { ApiError, api } from "./api.js";
import { h } from "./dom.js";
import { label } from "./format.js";
import { badge, button, confirm, dialog, heading, icon, toast } from "./parts.js";
import { link } from "./router.js";
import { session } from "./session.js";

const KINDS = { COURSE_STATUS_DRAFT: "note", COURSE_STATUS_PUBLISHED: "good", COURSE_STATUS_ARCHIVED: "" };
const PARTS = [
  ["", "Outline"],
  ["/details", "Details"],
  ["/exam", "Final exam"],
  ["/students", "Students"],
  ["/insights", "Insights"],
  ["/coupons", "Coupons"],
];

/** Who teaches. */
export const TEACHERS = ["ROLE_INSTRUCTOR", "ROLE_ADMIN"];

/** A course, to be written; rejects where it is somebody else's. @param {string} courseId @param {AbortSignal} signal */
export async function ownCourse(courseId, signal) {
  const course = await api.get(`/courses/${courseId}`, { signal });
  if (course.instructor.id !== session.user?.id && !session.is("ROLE_ADMIN"))
    throw new Error(`${course.instructor.displayName} teaches this course.`);
  return course;
}

/** A course's state as a badge. @param {string} status */
export const statusBadge = (status) => badge(label(status, "COURSE_STATUS"), KINDS[status]);

/**
 * A page of a course.
 * @param {any} course
 * @param {string} part the part's path behind the course's, such as "/details"
 * @param {() => Promise<void>} refresh
 * @param {...any} content
 */
export function courseFrame(course, part, refresh, ...content) {
  const path = `/teach/${course.id}`;
  const parts = PARTS.map(([end, text]) =>
    h("li", null, link(path + end, text, { "aria-current": end === part ? "page" : null })),
  );
  requestAnimationFrame(() =>
    parts
      .map((item) => item.querySelector("[aria-current]"))
      .find(Boolean)
      ?.scrollIntoView({ block: "nearest", inline: "center" }),
  );
  return h(
    "div",
    { class: "course-frame" },
    heading(course.title, {
      back: link("/teach", "My courses"),
      eyebrow: statusBadge(course.status),
      actions: actions(course, refresh),
    }),
    h("nav", { class: "parts", "aria-label": "Course" }, h("ul", null, parts)),
    content,
  );
}

function actions(course, refresh) {
  const seen = link(`/courses/${course.id}`, [icon("eye"), h("span", null, "View")], { class: "button quiet" });
  if (course.status === "COURSE_STATUS_DRAFT")
    return [seen, button("Publish", { kind: "primary", onClick: () => publish(course, refresh) })];
  if (course.status === "COURSE_STATUS_PUBLISHED")
    return [seen, button("Unpublish", { onClick: () => unpublish(course, refresh) })];
  return seen;
}

async function publish(course, refresh) {
  try {
    await api.post(`/courses/${course.id}/publish`);
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== "COURSE_NOT_PUBLISHABLE") throw error;
    tellMissing(course, error.violations);
    return;
  }
  toast("The course is in the catalogue now.", "good");
  await refresh();
}

/** What is missing, each with the place where it is mended. */
function tellMissing(course, violations) {
  const rows = violations.map(({ field, description }) =>
    h("li", null, icon("circle"), link(placeOf(course, field), description)),
  );
  const shown = dialog({
    title: "Not ready to be published",
    content: [h("p", null, "The course still lacks:"), h("ul", { class: "missing" }, rows)],
    actions: [{ text: "Close" }],
  });
  shown.element.addEventListener("click", (event) => event.target.closest("a") && shown.close());
}

/** Where a violation is mended: "modules[0].lectures[1].quizId". @param {any} course @param {string} field */
export function placeOf(course, field) {
  const path = `/teach/${course.id}`;
  if (field === "description") return `${path}/details`;
  if (field === "examId") return `${path}/exam`;
  const [, module, lecture, rest] = /^modules\[(\d+)\]\.lectures\[(\d+)\](.*)$/.exec(field) ?? [];
  const found = course.modules[module]?.lectures[lecture];
  return found ? `${path}/lectures/${found.id}${rest === ".quizId" ? "/quiz" : ""}` : path;
}

async function unpublish(course, refresh) {
  const text = "Nobody new can find or buy it. Students who are in it keep their access.";
  if (!(await confirm({ title: "Take the course out of the catalogue?", text, action: "Unpublish", kind: "primary" }))) return;
  await api.post(`/courses/${course.id}/unpublish`);
  toast("The course is a draft again.");
  await refresh();
}
