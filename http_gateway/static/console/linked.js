/**
 * Texts of people, whose web addresses are links.
 * @module
 */

import { h } from "./dom.js";

const ADDRESS = /https?:\/\/[^\s<>"]+/g;

/**
 * A text's parts: what stands behind an address, such as a full stop, is not of it.
 * @param {string} text
 * @returns {(string | HTMLElement)[]}
 */
export function linked(text) {
  const parts = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const address = trimmed(found);
    parts.push(text.slice(end, index), h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, address));
    end = index + address.length;
  }
  return [...parts, text.slice(end)];
}

/** An address without the punctuation behind it; a closing bracket stays where it closes one. */
function trimmed(address) {
  const last = address.at(-1);
  const extra = last === ")" ? address.split(")").length > address.split("(").length : ".,;:!?'".includes(last);
  return extra ? trimmed(address.slice(0, -1)) : address;
}
