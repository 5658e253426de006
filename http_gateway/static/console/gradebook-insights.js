/**
 * How a course does: who is active, where students stop, what is hard, what came in.
 * @module
 */

import { api } from "./api.js";
import { barChart, barList } from "./charts.js";
import { courseFrame, ownCourse } from "./course-frame.js";
import { dayChart } from "./day-chart.js";
import { revenueText } from "./day-figures.js";
import { h } from "./dom.js";
import { number, percent, plural, score } from "./format.js";
import { whenever } from "./live.js";
import { card, stat, stats } from "./parts.js";

/** @param {import("./router.js").Place} place */
export async function show({ params: { courseId }, signal, refresh }) {
  const [course, figures] = await Promise.all([
    ownCourse(courseId, signal),
    api.get(`/analytics/courses/${courseId}`, { signal }),
  ]);
  whenever(["missed"], signal, refresh);
  return courseFrame(
    course,
    "/insights",
    refresh,
    h("h2", { class: "unseen" }, "Insights"),
    card(
      {},
      stats(
        stat("Students", number(figures.enrolled), figures.ended > 0 && `${number(figures.ended)} former`),
        stat("Active in 7 days", number(figures.activeIn7Days), `${number(figures.activeIn30Days)} in 30 days`),
        stat("Completed", percent(figures.completionPercent), plural(figures.completed, "student")),
        stat("Average score", score(figures.averageScorePercent), plural(figures.certificates, "certificate")),
        stat("Revenue", revenueText(figures.revenue)),
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
        dayChart("New students", figures, (day) => day.enrollments, true),
      ),
      card(
        {},
        dayChart("Completed lectures", figures, (day) => day.lectureCompletions, true),
      ),
      card(
        {},
        barChart({
          title: "Scores",
          labelName: "Score",
          valueName: "Students",
          points: figures.scores.map(scorePoint),
          empty: "Nobody has answered a quiz yet.",
        }),
      ),
    ),
    h(
      "div",
      { class: "chart-grid-2" },
      card(
        {},
        barList({
          title: "Who got through each lecture",
          items: figures.lectures.map(reach),
          empty: "The course has no lectures yet.",
        }),
      ),
      card({}, barList({ title: "Hardest questions", items: figures.hardestQuestions.map(hard), empty: "No answers yet." })),
    ),
  );
}

const scorePoint = ({ fromPercent, toPercent, students }) => ({
  label: String(fromPercent),
  hint: `${fromPercent} to ${toPercent} %`,
  value: students,
});

const reach = ({ title, completed, completedPercent }) => ({
  label: title,
  percent: completedPercent,
  text: `${percent(completedPercent)} · ${number(completed)}`,
});

const hard = ({ prompt, asked, correctPercent }) => ({
  label: prompt,
  percent: correctPercent,
  text: `${percent(correctPercent)} right of ${number(Number(asked))}`,
});
