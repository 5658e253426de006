/**
 * Numbers, money and times as people read them, in the browser's language.
 * @module
 */

const SECOND_STEPS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const whole = new Intl.NumberFormat();
const parted = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const share = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 });
const finer = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

/**
 * An amount in its currency's own decimals: 1999 USD, 500 JPY, 1234500 KWD.
 * @param {{amountMinor: number, currency: string}} amount
 */
export function money({ amountMinor, currency }) {
  try {
    const style = new Intl.NumberFormat(undefined, { style: "currency", currency });
    return style.format(amountMinor / 10 ** decimals(currency));
  } catch {
    return `${amountMinor} ${currency}`; // no currency that the browser knows
  }
}

/** How many digits an amount has after the decimal point. @param {string} currency */
export const decimals = (currency) =>
  new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;

/** A course's price; "Free" where there is nothing to pay. @param {{amountMinor: number, currency: string} | undefined} amount */
export const price = (amount) => (amount?.amountMinor ? money(amount) : "Free");

/** @param {number} value */
export const number = (value) => whole.format(value);

/** With at most one decimal. @param {number} value */
export const decimal = (value) => parted.format(value);

/** @param {number} value of 100 */
export const percent = (value) => share.format(value / 100);

/** With a decimal where there is one. @param {number} value of 100 */
export const score = (value) => finer.format(value / 100);

/** @param {string | null | undefined} time RFC 3339 */
export const date = (time) => (time ? day.format(new Date(time)) : "");

/** @param {string | null | undefined} time RFC 3339 */
export const dateTime = (time) => (time ? moment.format(new Date(time)) : "");

/** The time of the day. @param {string | null | undefined} time RFC 3339 */
export const timeOfDay = (time) => (time ? clock.format(new Date(time)) : "");

/**
 * How long ago, or how far ahead: "3 days ago".
 * @param {string | null | undefined} time RFC 3339
 */
export function ago(time, now = Date.now()) {
  if (!time) return "";
  const seconds = (new Date(time).getTime() - now) / 1000;
  const [unit, length] = SECOND_STEPS.find(([, step]) => Math.abs(seconds) >= step) ?? ["second", 1];
  if (unit === "second") return seconds > 5 ? "in a moment" : "just now";
  return relative.format(Math.round(seconds / length), /** @type {Intl.RelativeTimeFormatUnit} */ (unit));
}

/** A time in a video or on a timer: 330 → "5:30", 3700 → "1:01:40". @param {number} seconds */
export function clockTime(seconds) {
  const left = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  if (!parts[0]) parts.shift();
  return parts.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
}

/** A length of time in words: 330 → "6 min", 5400 → "1 h 30 min". @param {number} seconds */
export function duration(seconds) {
  const minutes = Math.max(1, Math.round(seconds / 60));
  const hours = Math.floor(minutes / 60);
  return [hours && `${hours} h`, minutes % 60 && `${minutes % 60} min`].filter(Boolean).join(" ");
}

/** "1 lecture", "3 lectures". @param {number} count @param {string} noun @param {string} [many] */
export const plural = (count, noun, many = `${noun}s`) => `${number(count)} ${count === 1 ? noun : many}`;

/**
 * What a contract's enum value says: ("COURSE_STATUS_DRAFT", "COURSE_STATUS") → "Draft".
 * @param {string} value
 * @param {string} type
 */
export function label(value, type) {
  const words = (value ?? "").replace(`${type}_`, "").toLowerCase().replaceAll("_", " ");
  return words === "unspecified" ? "" : words.charAt(0).toUpperCase() + words.slice(1);
}

/** A language's name in English: "zh-Hans" → "Simplified Chinese". @param {string} tag BCP 47 */
export function language(tag) {
  try {
    return (tag && new Intl.DisplayNames(["en"], { type: "language" }).of(tag)) || "";
  } catch {
    return tag;
  }
}
