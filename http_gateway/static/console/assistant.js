/**
 * What the assistant writes, as it is written; and by which engine, which people should know.
 * @module
 */

import { api } from "./api.js";
import { h } from "./dom.js";
import { icon } from "./parts.js";

/**
 * Follow a stream of text.
 * @param {string} path such as "/ai/summarize/stream"
 * @param {any} body
 * @param {string} whole the name of the event's field that holds the finished thing
 * @param {{onText: (text: string) => void, signal?: AbortSignal}} how `onText` is given all of the text so far
 * @returns {Promise<any>} the finished thing
 */
export async function written(path, body, whole, { onText, signal }) {
  let text = "";
  for await (const event of api.events(path, body, { signal })) {
    if (event[whole]) return event[whole];
    text = event.restart ? "" : text + (event.delta ?? "");
    onText(text);
  }
  throw new Error("The answer broke off. Try again.");
}

/**
 * By whom it is, and that a person has to judge it.
 * @param {{engine: string, model: string}} made
 * @param {string} [from] what it was made from
 */
export const madeBy = ({ engine, model }, from = "the text") =>
  h(
    "p",
    { class: "fine made-by" },
    icon("spark"),
    engine === "extractive"
      ? `Picked from ${from} itself, without a language model. Check it before you use it.`
      : `Written by ${model}. Check it before you use it.`,
  );
