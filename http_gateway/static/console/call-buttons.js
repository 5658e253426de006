/**
 * The two ways to call somebody.
 * @module
 */

import { h } from "./dom.js";
import { live } from "./live.js";
import { button } from "./parts.js";
import { go } from "./router.js";

/** @typedef {import("./live.js").Person} Person */

/** Call a person, and go where the call is. @param {Person} person @param {boolean} video */
export function callPerson(person, video) {
  const call = live.invite(person, { video });
  go(`/call/${call.peer.id}`);
}

/**
 * Buttons for a voice and a video call.
 * @param {Person} person
 * @param {{text?: boolean}} [how] `text`: with their names on them
 */
export const callButtons = (person, { text = false } = {}) =>
  h(
    "div",
    { class: "call-buttons" },
    button(text ? "Voice call" : `Voice call with ${person.displayName}`, {
      icon: "phone",
      hidden: !text,
      kind: text ? "" : "quiet",
      onClick: () => callPerson(person, false),
    }),
    button(text ? "Video call" : `Video call with ${person.displayName}`, {
      icon: "camera",
      hidden: !text,
      kind: text ? "primary" : "quiet",
      onClick: () => callPerson(person, true),
    }),
  );
