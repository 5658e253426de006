/**
 * A lecture in short, written by the assistant from its notes when somebody asks for it.
 * @module
 */

import { madeBy, written } from "./assistant.js";
import { h, replace } from "./dom.js";
import { button, icon, textOf } from "./parts.js";

const WORDS = 120;
const WORTH_IT = 400; // characters: shorter notes are their own summary

/**
 * @param {{id: string, notes: string}} lecture
 * @param {AbortSignal} signal
 * @returns {HTMLElement | null} null where there is nothing to sum up
 */
export function lectureSummary({ id, notes }, signal) {
  if (notes.trim().length < WORTH_IT) return null;
  const place = h("div", { class: "in-short", "aria-live": "polite" });
  const ask = button("In short", { icon: "spark", small: true, onClick: () => write(place, id, signal) });
  return replace(place, ask);
}

async function write(place, lectureId, signal) {
  const text = h("p", { class: "is-writing", dir: "auto" });
  replace(place, box(text));
  try {
    const onText = (soFar) => (text.textContent = soFar);
    const made = await written("/ai/summarize/stream", { lectureId, maxWords: WORDS }, "summary", { onText, signal });
    replace(place, box(h("p", { dir: "auto" }, made.summary), points(made.keyPoints), madeBy(made, "the notes")));
  } catch (error) {
    if (signal.aborted) return;
    replace(
      place,
      box(h("p", null, textOf(error)), button("Try again", { small: true, onClick: () => write(place, lectureId, signal) })),
    );
  }
}

const box = (...content) =>
  h("div", { class: "callout" }, icon("spark"), h("div", { class: "stack tight" }, h("h2", null, "In short"), content));

const points = (items) =>
  items.length > 0 &&
  h(
    "ul",
    { class: "bullets" },
    items.map((item) => h("li", { dir: "auto" }, item)),
  );
