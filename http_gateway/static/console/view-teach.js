/**
 * The courses one teaches.
 * @module
 */

import { api } from "./api.js";
import { TEACHERS, statusBadge } from "./course-frame.js";
import { h } from "./dom.js";
import { ago, label, plural, price } from "./format.js";
import { empty, heading, icon, pager } from "./parts.js";
import { link } from "./router.js";

/** @type {import("./router.js").View[]} */
export const views = [
  {
    path: "/teach",
    title: "My courses",
    roles: TEACHERS,
    show: showCourses,
    nav: { text: "Teach", icon: "edit", order: 10, roles: ["ROLE_INSTRUCTOR"] },
  },
];

const newCourse = () => link("/teach/new", [icon("plus"), h("span", null, "New course")], { class: "button primary" });

async function showCourses({ signal }) {
  const into = h("ul", { class: "course-lines" });
  const pages = api.list("/courses", { query: { mine: true, pageSize: 24 }, signal });
  const nothing = empty("Write your first course: a few lectures are enough to begin with.", newCourse(), {
    icon: "edit",
    title: "Nothing here yet",
  });
  return h(
    "div",
    null,
    heading("My courses", { lead: "What you teach, and how it stands.", actions: newCourse() }),
    await pager({ pages, into, render: ({ courses }) => courses.map(line), empty: nothing }),
  );
}

function line(course) {
  const path = `/teach/${course.id}`;
  return h(
    "li",
    { class: "card course-line" },
    h(
      "div",
      { class: "course-line-text" },
      h("div", { class: "course-line-title" }, h("h2", { dir: "auto" }, link(path, course.title)), statusBadge(course.status)),
      h(
        "p",
        { class: "meta" },
        h("span", null, plural(course.lectureCount, "lecture")),
        h("span", null, price(course.price)),
        course.level !== "COURSE_LEVEL_UNSPECIFIED" && h("span", null, label(course.level, "COURSE_LEVEL")),
        h("span", null, `changed ${ago(course.updateTime)}`),
      ),
    ),
    h(
      "dl",
      { class: "course-line-count" },
      h("div", null, h("dd", null, course.enrollmentCount), h("dt", null, course.enrollmentCount === 1 ? "student" : "students")),
    ),
    h(
      "div",
      { class: "course-line-links" },
      link(path, "Outline", { class: "button small" }),
      link(`${path}/students`, "Students", { class: "button small quiet" }),
      link(`${path}/insights`, "Insights", { class: "button small quiet" }),
    ),
  );
}
