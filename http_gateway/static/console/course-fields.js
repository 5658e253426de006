/**
 * A course's metadata as fields, and back.
 * @module
 */

import { h } from "./dom.js";
import { decimals } from "./format.js";
import { field } from "./parts.js";

const COMMON = ["USD", "EUR", "GBP", "INR", "JPY"];
const LEVELS = [
  ["COURSE_LEVEL_UNSPECIFIED", "Not said"],
  ["COURSE_LEVEL_BEGINNER", "Beginner"],
  ["COURSE_LEVEL_INTERMEDIATE", "Intermediate"],
  ["COURSE_LEVEL_ADVANCED", "Advanced"],
];

/** Every currency the browser knows, the common ones first. @returns {[string, string][]} */
export function currencies() {
  const names = new Intl.DisplayNames(["en"], { type: "currency" });
  const codes = new Set([...COMMON, ...Intl.supportedValuesOf("currency")]);
  return [...codes].map((code) => [code, `${code} – ${names.of(code)}`]);
}

/** An amount as it is typed: 1999 USD → "19.99". @param {{amountMinor: number, currency: string}} amount */
export const typed = ({ amountMinor, currency }) => (amountMinor / 10 ** digits(currency)).toFixed(digits(currency));

/** What is typed as an amount. @param {number | null} value @param {string} currency */
export const amountOf = (value, currency) => ({ amountMinor: Math.round((value ?? 0) * 10 ** digits(currency)), currency });

const digits = (currency) => (currency ? decimals(currency) : 2);

/** The fields of a course's metadata. @param {any} course */
export function courseFields(course) {
  return [
    field({ label: "Title", name: "title", required: true, maxlength: 200, value: course.title, dir: "auto" }),
    field({
      label: "Description",
      name: "description",
      type: "textarea",
      rows: 8,
      maxlength: 20_000,
      value: course.description,
      hint: "What one learns, and for whom it is. Markdown.",
      dir: "auto",
    }),
    h(
      "div",
      { class: "field-row" },
      field({
        label: "Price",
        name: "amountMinor",
        type: "number",
        min: 0,
        step: "any",
        inputmode: "decimal",
        value: course.price?.amountMinor ? typed(course.price) : "",
        hint: "Empty: free.",
      }),
      field({
        label: "Currency",
        name: "currency",
        type: "select",
        options: currencies(),
        value: course.price?.currency || "USD",
        optional: false,
      }),
    ),
    h(
      "div",
      { class: "field-row" },
      field({ label: "Level", name: "level", type: "select", options: LEVELS, value: course.level, optional: false }),
      field({ label: "Language", name: "language", value: course.language, maxlength: 35, hint: "Such as en, hi or pt-BR." }),
    ),
    field({
      label: "Tags",
      name: "tags",
      value: (course.tags ?? []).join(", "),
      hint: "Up to twenty, with commas between them.",
      dir: "auto",
    }),
  ];
}

/** The metadata that a form's values say. @param {Record<string, any>} values */
export const courseOf = ({ title, description, amountMinor, currency, level, language, tags }) => ({
  title: title.trim(),
  description,
  price: amountMinor ? amountOf(amountMinor, currency) : undefined,
  level,
  language: language.trim(),
  tags: [
    ...new Set(
      tags
        .split(",")
        .map((tag) => tag.trim())
        .filter(Boolean),
    ),
  ],
});
