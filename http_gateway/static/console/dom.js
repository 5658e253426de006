/**
 * Elements by function calls: text is always text, so nothing that comes from people can become markup.
 * @module
 */

const SVG = "http://www.w3.org/2000/svg";
// What an element only takes as a property, or only once it is in the page.
const PROPERTIES = new Set(["value", "checked", "selected", "indeterminate", "disabled", "muted"]);

/**
 * @typedef {Node | string | number | null | undefined | false} Child
 * @typedef {Record<string, any>} Props `class`, `on: {click}`, `style: {"--name": value}`, `aria-*`, `data-*`, any attribute;
 *   null and false are left out, true is an attribute without a value
 */

/**
 * Make an HTML element.
 * @param {string} tag
 * @param {Props | null} [props]
 * @param {...(Child | Child[])} children null and false are dropped, lists are flattened
 * @returns {any} the element
 */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/**
 * Make an SVG element; otherwise as `h`.
 * @param {string} tag
 * @param {Props | null} [props]
 * @param {...(Child | Child[])} children
 * @returns {any} the element
 */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/**
 * Put children in the place of all that a node holds.
 * @template {Element | DocumentFragment} T
 * @param {T} node
 * @param {...(Child | Child[])} children
 * @returns {T}
 */
export function replace(node, ...children) {
  node.replaceChildren(...kept(children));
  return node;
}

/**
 * Add children behind those that a node holds.
 * @template {Element | DocumentFragment} T
 * @param {T} node
 * @param {...(Child | Child[])} children
 * @returns {T}
 */
export function append(node, ...children) {
  node.append(...kept(children));
  return node;
}

let lastId = 0;

/** A new id for an element that another one names. */
export const newId = (prefix = "id") => `${prefix}-${++lastId}`;

/** Wait; rejects as soon as `signal` aborts. @param {number} ms @param {AbortSignal} [signal] */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

function fill(element, props, children) {
  const { on = {}, style = {}, ...rest } = props ?? {};
  append(element, children);
  for (const [name, value] of Object.entries(rest)) set(element, name, value);
  // The page's policy refuses style attributes, not the object behind them.
  for (const [name, value] of Object.entries(style)) element.style.setProperty(name, String(value));
  for (const [name, listener] of Object.entries(on)) if (listener) element.addEventListener(name, listener);
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (PROPERTIES.has(name)) element[name] = value;
  else element.setAttribute(name, value === true ? "" : String(value));
}

const kept = (children) =>
  children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
