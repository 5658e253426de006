/**
 * The platform in figures.
 * @module
 */

import { api } from "./api.js";
import { dayChart } from "./day-chart.js";
import { h } from "./dom.js";
import { label, money, number, percent } from "./format.js";
import { roleName } from "./frame.js";
import { card, heading, stat, stats, table } from "./parts.js";

const ROLES = ["ROLE_STUDENT", "ROLE_INSTRUCTOR", "ROLE_PARENT", "ROLE_ADMIN"];

/** @param {import("./router.js").Place} place */
export async function show({ signal }) {
  const figures = await api.get("/analytics/overview", { signal });
  const people = figures.users.reduce((sum, { users }) => sum + Number(users), 0);
  const enrolled = Number(figures.enrollments);
  const published = figures.courses.find(({ status }) => status === "COURSE_STATUS_PUBLISHED");
  return h(
    "div",
    null,
    heading("Platform", { lead: "All courses and people, as of now." }),
    card(
      {},
      stats(
        stat("People", number(people)),
        stat("Published courses", number(Number(published?.courses ?? 0))),
        stat(
          "Enrolments",
          number(enrolled),
          Number(figures.endedEnrollments) > 0 && `${number(Number(figures.endedEnrollments))} ended`,
        ),
        stat(
          "Completed",
          number(Number(figures.completions)),
          enrolled > 0 && percent((100 * Number(figures.completions)) / enrolled),
        ),
        stat("Certificates", number(Number(figures.certificates))),
      ),
    ),
    h(
      "div",
      { class: "chart-grid-2" },
      card(
        {},
        dayChart("Active students", figures, (day) => day.activeStudents),
      ),
      card(
        {},
        dayChart("New enrolments", figures, (day) => day.enrollments, true),
      ),
      card(
        {},
        dayChart("Completed courses", figures, (day) => day.completions, true),
      ),
      card(
        {},
        dayChart("Completed lectures", figures, (day) => day.lectureCompletions, true),
      ),
    ),
    h(
      "div",
      { class: "pair" },
      card(
        { title: "Revenue" },
        table({ caption: "Revenue", columns: REVENUE, rows: figures.revenue, empty: "Nothing was paid yet." }),
      ),
      h(
        "div",
        null,
        card(
          { title: "People by role" },
          table({
            caption: "People by role",
            columns: [
              { text: "Role", value: ([role]) => roleName(role) },
              { text: "Active", numeric: true, value: ([, counts]) => number(counts.USER_STATUS_ACTIVE ?? 0) },
              { text: "Suspended", numeric: true, value: ([, counts]) => number(counts.USER_STATUS_SUSPENDED ?? 0) },
              { text: "Deleted", numeric: true, value: ([, counts]) => number(counts.USER_STATUS_DELETED ?? 0) },
            ],
            rows: byRole(figures.users),
          }),
        ),
        card(
          { title: "Courses by state" },
          table({
            caption: "Courses by state",
            columns: [
              { text: "State", value: ({ status }) => label(status, "COURSE_STATUS") },
              { text: "Courses", numeric: true, value: ({ courses }) => number(Number(courses)) },
            ],
            rows: figures.courses,
          }),
        ),
      ),
    ),
  );
}

const sum =
  (name) =>
  ({ currency, [name]: minor }) =>
    money({ currency, amountMinor: Number(minor) });
const REVENUE = [
  { text: "Currency", value: ({ currency }) => currency },
  { text: "Paid", numeric: true, value: sum("paidMinor") },
  { text: "Given back", numeric: true, value: sum("refundedMinor") },
  { text: "Left", numeric: true, value: sum("netMinor") },
];

function byRole(counts) {
  return ROLES.map((role) => [
    role,
    Object.fromEntries(counts.filter((item) => item.role === role).map((item) => [item.status, Number(item.users)])),
  ]);
}
