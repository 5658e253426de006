/**
 * A line of the last thirty days.
 * @module
 */

import { lineChart } from "./charts.js";
import { days, sumOf } from "./day-figures.js";
import { number } from "./format.js";

/**
 * @param {string} title also what a point is called
 * @param {{days: object[]}} figures
 * @param {(day: object) => number} value a day's point
 * @param {boolean} [summed] show the sum beside the title
 * @returns {HTMLElement}
 */
export const dayChart = (title, figures, value, summed = false) =>
  lineChart({
    title,
    points: days(figures.days, value),
    labelName: "Day",
    valueName: title,
    total: summed ? number(sumOf(figures.days, value)) : undefined,
    empty: "Nothing in the last 30 days.",
  });
