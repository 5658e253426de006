/**
 * Figures of days and money as charts and texts take them; nothing of the page.
 * @module
 */

import { money } from "./format.js";

const short = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const long = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeZone: "UTC" });

/** The points of a chart. @param {any[]} figures `DayFigures` @param {(day: any) => number} value */
export const days = (figures, value) =>
  figures.map((day) => ({ label: short.format(new Date(day.date)), hint: long.format(new Date(day.date)), value: value(day) }));

/** @param {any[]} figures @param {(day: any) => number} value */
export const sumOf = (figures, value) => figures.reduce((sum, day) => sum + value(day), 0);

/** What came in, in each currency. @param {{currency: string, netMinor: string}[]} revenue */
export const revenueText = (revenue) =>
  revenue.map(({ currency, netMinor }) => money({ currency, amountMinor: Number(netMinor) })).join(" + ") || "None";
