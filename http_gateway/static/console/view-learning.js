/**
 * A student's own courses, and how far each is.
 * @module
 */

import { api } from "./api.js";
import { cover } from "./cover.js";
import { h } from "./dom.js";
import { ago, percent, plural } from "./format.js";
import { badge, empty, heading, pager, progressBar } from "./parts.js";
import { link } from "./router.js";
import { session } from "./session.js";

export const views = [
  {
    path: "/learning",
    title: "My learning",
    roles: ["ROLE_STUDENT"],
    nav: { text: "My learning", icon: "book", order: 10 },
    show: showLearning,
  },
];

async function showLearning({ signal }) {
  const list = await pager({
    pages: api.list("/enrollments", { query: { pageSize: 24 }, signal }),
    into: h("ul", { class: "grid courses" }),
    render: (page) => page.enrollments.map((enrollment) => h("li", null, enrolled(enrollment))),
    empty: empty(
      "You are in no course yet. The first lecture of many can be looked at without paying.",
      link("/courses", "Find a course", { class: "button primary" }),
      { icon: "book", title: "Nothing to learn?" },
    ),
  });
  return h(
    "div",
    null,
    heading(`Hello, ${firstName(session.user.displayName)}`, { lead: "Go on where you were, or begin something new." }),
    list,
  );
}

const firstName = (name) => name.split(" ")[0];

function enrolled({ courseId, courseTitle, status, lecturesCompleted, lecturesTotal, createTime, completeTime }) {
  const share = lecturesTotal ? Math.floor((100 * lecturesCompleted) / lecturesTotal) : 0;
  const ended = status === "ENROLLMENT_STATUS_ENDED";
  return h(
    "article",
    { class: "course-card" },
    h("div", { class: "cover-frame" }, cover({ id: courseId })),
    h(
      "div",
      { class: "course-text" },
      h("h2", { dir: "auto" }, link(`/courses/${courseId}`, courseTitle, { class: "over" })),
      h(
        "p",
        { class: "row" },
        ended
          ? badge("Access ended", "bad")
          : completeTime
            ? badge("Completed", "good", "check")
            : share
              ? badge("In progress", "info")
              : badge("Not begun"),
        h("span", { class: "fine" }, `Joined ${ago(createTime)}`),
      ),
      h("div", { class: "grow" }),
      h(
        "p",
        { class: "spread fine" },
        `${lecturesCompleted} of ${plural(lecturesTotal, "lecture")}`,
        h("span", null, percent(share)),
      ),
      progressBar(share, `Progress in ${courseTitle}`),
    ),
  );
}
