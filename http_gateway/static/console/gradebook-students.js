/**
 * The gradebook: every student with access now, ordered by the server, and all of it as a file.
 * @module
 */

import { api } from "./api.js";
import { courseFrame, ownCourse } from "./course-frame.js";
import { h, replace } from "./dom.js";
import { ago, date, score } from "./format.js";
import { whenever } from "./live.js";
import { badge, button, empty, failure, loading, more, progressBar, table } from "./parts.js";
import { link, note } from "./router.js";

const PAGE = 50;
const ORDERS = {
  name: "GRADEBOOK_ORDER_NAME",
  progress: "GRADEBOOK_ORDER_PROGRESS",
  score: "GRADEBOOK_ORDER_SCORE",
  activity: "GRADEBOOK_ORDER_LAST_ACTIVITY",
  enrolled: "GRADEBOOK_ORDER_ENROLL_TIME",
};

/** @param {import("./router.js").Place} place */
export async function show({ params: { courseId }, query, signal, refresh }) {
  const course = await ownCourse(courseId, signal);
  const state = { order: query.get("order") in ORDERS ? query.get("order") : "name", descending: query.get("down") === "1" };
  const region = h("div", null);
  const load = async () => {
    try {
      await draw(course, region, state, sort, signal);
    } catch (error) {
      if (!signal.aborted) replace(region, failure(error, load));
    }
  };
  const sort = (order) => {
    Object.assign(state, { order, descending: state.order === order ? !state.descending : order !== "name" });
    note(`/teach/${courseId}/students?order=${state.order}${state.descending ? "&down=1" : ""}`);
    region.dataset.focus = order;
    return load();
  };
  whenever(["missed"], signal, load);
  replace(region, loading());
  await load();
  const file = `${course.title
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .toLowerCase()
    .slice(0, 60)}-grades.csv`;
  return courseFrame(
    course,
    "/students",
    refresh,
    h(
      "div",
      { class: "part-head" },
      h("h2", { class: "part-title" }, "Gradebook"),
      button("Download CSV", {
        icon: "download",
        onClick: () => api.download(`/progress/course/${courseId}/students`, file, { accept: "text/csv", query: orderOf(state) }),
      }),
    ),
    region,
  );
}

const orderOf = ({ order, descending }) => ({ orderBy: ORDERS[order], descending });

async function draw(course, region, state, sort, signal) {
  const pages = api.list(`/progress/course/${course.id}/students`, { query: { ...orderOf(state), pageSize: PAGE }, signal });
  const { value: first } = await pages.next();
  const rows = [...first.grades];
  if (!rows.length) {
    replace(region, empty("Nobody has enrolled yet.", null, { icon: "users" }));
    return;
  }
  const place = h("div", null);
  const fill = () => replace(place, table({ caption: "Gradebook", columns: columns(course, state, sort), rows }));
  fill();
  replace(
    region,
    place,
    first.nextPageToken &&
      more(async () => {
        const { value } = await pages.next();
        rows.push(...(value?.grades ?? []));
        fill();
        return Boolean(value?.nextPageToken);
      }),
  );
  // The heading that was pressed is a new one now.
  const heads = Object.keys(ORDERS);
  if (region.dataset.focus) region.querySelectorAll("th button")[heads.indexOf(region.dataset.focus)]?.focus();
  delete region.dataset.focus;
}

function columns(course, state, sort) {
  const sorted = (order) => ({
    sort: state.order !== order ? "none" : state.descending ? "descending" : "ascending",
    onSort: () => sort(order),
  });
  const points = (value) => (value === undefined || value === null ? h("span", { class: "hint" }, "–") : score(value));
  return [
    {
      text: "Student",
      ...sorted("name"),
      value: (grade) =>
        h(
          "div",
          { class: "cell-name" },
          link(
            `/teach/${course.id}/students/${grade.studentId}?name=${encodeURIComponent(grade.displayName)}`,
            grade.displayName,
            { dir: "auto" },
          ),
          h("span", { class: "hint" }, grade.email),
        ),
    },
    {
      text: "Progress",
      ...sorted("progress"),
      value: (grade) =>
        h(
          "div",
          { class: "cell-progress" },
          progressBar(grade.percent, `Progress of ${grade.displayName}`),
          h("span", null, `${grade.lecturesCompleted}/${grade.lecturesTotal}`),
        ),
    },
    { text: "Score", numeric: true, ...sorted("score"), value: (grade) => points(grade.scorePercent) },
    {
      text: "Last active",
      ...sorted("activity"),
      value: (grade) =>
        grade.lastActivityTime
          ? h("time", { datetime: grade.lastActivityTime }, ago(grade.lastActivityTime))
          : h("span", { class: "hint" }, "Not begun"),
    },
    { text: "Enrolled", ...sorted("enrolled"), value: (grade) => date(grade.enrollTime) },
    { text: "Quizzes", numeric: true, value: (grade) => points(grade.quizAveragePercent) },
    {
      text: "Exam",
      numeric: true,
      value: (grade) =>
        h("span", { class: "cell-exam" }, points(grade.examBestPercent), grade.examPassed && badge("Passed", "good")),
    },
  ];
}
