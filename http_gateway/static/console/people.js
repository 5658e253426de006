/**
 * People as the pages show them: a face, and whether they are there.
 * @module
 */

import { h } from "./dom.js";
import { ago } from "./format.js";
import { live, whenever } from "./live.js";
import { avatar } from "./parts.js";

/** @typedef {import("./live.js").Person} Person */

/** A person's picture. @param {Person} person @param {string} [size] */
export const face = ({ displayName, imageUrl }, size = "") => avatar(displayName, imageUrl ?? "", size);

/**
 * The picture with a dot while the person is online.
 * @param {Person} person
 * @param {AbortSignal} signal
 * @param {string} [size]
 */
export function presentFace(person, signal, size = "") {
  const dot = h("span", { class: "presence-dot", hidden: true }, h("span", { class: "unseen" }, "online"));
  const show = () => (dot.hidden = !live.online(person.id));
  whenever(["presence", "people"], signal, show);
  show();
  return h("span", { class: "face-place" }, face(person, size), dot);
}

/** "Online", or when the person was last there; kept up to date. @param {string} userId @param {AbortSignal} signal */
export function presenceText(userId, signal) {
  const text = h("span", { class: "presence-text" });
  const show = () => {
    const known = live.chat?.presence.get(userId);
    text.textContent = !known
      ? ""
      : known.online
        ? "Online"
        : known.lastSeenTime
          ? `Last seen ${ago(known.lastSeenTime)}`
          : "Offline";
    text.classList.toggle("is-online", Boolean(known?.online));
  };
  whenever(["presence", "people"], signal, show);
  show();
  return text;
}
