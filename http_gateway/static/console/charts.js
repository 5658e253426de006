/**
 * Charts as inline SVG, drawn at the size they are shown, each with its numbers as a table beside it. Colours are the
 * stylesheet's. A hovering pointer reads values; who uses a keyboard or a screen reader opens the table.
 * @module
 */

import { h, replace, svg } from "./dom.js";

/**
 * @typedef {object} Point
 * @property {string} label such as "14 Nov"
 * @property {number} value
 * @property {string} [hint] more than the label says, for the table and the pointer
 */

/**
 * @typedef {object} ChartOptions
 * @property {string} title
 * @property {Point[]} points in their order
 * @property {string} [total] the large figure over the chart
 * @property {string} [labelName] what the labels are, such as "Day"
 * @property {string} [valueName] what the values are, such as "Students"
 * @property {(value: number) => string} [format]
 * @property {string} [empty] what is said when every value is 0
 */

const HEIGHT = 168;
const EDGE = { top: 10, right: 4, bottom: 22, left: 40 };

/** Bars that stand side by side: how much there is of each. @param {ChartOptions} options */
export const barChart = (options) => chart(options, drawBars);

/** A line over time, its area filled. @param {ChartOptions} options */
export const lineChart = (options) => chart(options, drawLine);

/**
 * Lying bars with their texts, for long names: each is a share of the whole width.
 * @param {{title: string, items: {label: string, percent: number, text: string}[], empty?: string}} options
 */
export function barList({ title, items, empty = "Nothing to show yet." }) {
  const rows = items.map(({ label, percent, text }) => {
    const bar = h("span", { class: "bar-fill", style: { "inline-size": `${Math.max(0, Math.min(100, percent))}%` } });
    return h(
      "li",
      {},
      h("span", { class: "bar-label" }, label),
      h("span", { class: "bar-text" }, text),
      h("span", { class: "bar-track", "aria-hidden": "true" }, bar),
    );
  });
  const content = rows.length ? h("ol", { class: "bar-list" }, ...rows) : h("p", { class: "chart-empty" }, empty);
  return h("figure", { class: "chart" }, h("figcaption", {}, h("span", { class: "chart-title" }, title)), content);
}

/**
 * The smallest round number at or above a value, and the step that divides it evenly.
 * @param {number} value
 * @returns {{top: number, step: number}}
 */
export function roundScale(value) {
  const wanted = Math.max(value, 1) / 4;
  const size = 10 ** Math.floor(Math.log10(wanted));
  const step = Math.max(
    1,
    [1, 2, 5, 10].map((factor) => factor * size).find((candidate) => candidate >= wanted),
  );
  return { top: Math.ceil(Math.max(value, 1) / step) * step, step };
}

/** @param {ChartOptions} options */
function chart(options, draw) {
  const { title, points, total, format = String, empty = "Nothing to show yet." } = options;
  const readout = h("span", { class: "chart-readout", "aria-hidden": "true" });
  const heading = h(
    "figcaption",
    {},
    h("span", { class: "chart-title" }, title),
    readout,
    total !== undefined && h("strong", { class: "chart-total" }, total),
  );
  if (!points.some((point) => point.value))
    return h("figure", { class: "chart" }, heading, h("p", { class: "chart-empty" }, empty));
  const place = h("div", { class: "chart-place" });
  const read = (point) => (readout.textContent = point ? `${point.hint ?? point.label}: ${format(point.value)}` : "");
  redrawn(place, (width) => draw({ ...options, format, width, read }));
  return h("figure", { class: "chart" }, heading, place, numbers(options, format));
}

/** Draw whenever the place has another width. */
function redrawn(place, draw) {
  let width = 0;
  new ResizeObserver(() => {
    if (Math.abs(place.clientWidth - width) < 1 || !place.clientWidth) return;
    width = place.clientWidth;
    replace(place, draw(width));
  }).observe(place);
}

function numbers({ title, points, labelName = "Label", valueName = "Value" }, format) {
  const rows = points.map((point) =>
    h("tr", {}, h("th", { scope: "row" }, point.hint ?? point.label), h("td", {}, format(point.value))),
  );
  const head = h("tr", {}, h("th", { scope: "col" }, labelName), h("th", { scope: "col" }, valueName));
  const table = h("table", {}, h("caption", { class: "visually-hidden" }, title), h("thead", {}, head), h("tbody", {}, ...rows));
  const scroll = h("div", { class: "chart-numbers", tabindex: "0", role: "region", "aria-label": `${title}, as a table` }, table);
  return h("details", { class: "chart-table" }, h("summary", {}, "Show the numbers"), scroll);
}

/** What both kinds share: the scale, its lines, and the reading by pointer. */
function frame({ title, points, format, width, read }) {
  const { top, step } = roundScale(Math.max(...points.map((point) => point.value)));
  const inner = { width: width - EDGE.left - EDGE.right, height: HEIGHT - EDGE.top - EDGE.bottom };
  const y = (value) => EDGE.top + inner.height * (1 - Math.max(0, value) / top);
  const slot = inner.width / points.length;
  const x = (index) => EDGE.left + slot * (index + 0.5);
  const peak = points.reduce((best, point) => (point.value > best.value ? point : best));
  const label = `${title}. Highest: ${format(peak.value)}, ${peak.hint ?? peak.label}.`;
  const root = svg("svg", { class: "chart-svg", width, height: HEIGHT, role: "img", "aria-label": label });
  for (let value = 0; value <= top; value += step) {
    root.append(
      svg("line", { class: "chart-grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
      text(format(value), { x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }),
    );
  }
  root.append(...dayLabels(points, x, slot));
  const nearest = (event) => {
    const index = Math.floor((event.clientX - root.getBoundingClientRect().left - EDGE.left) / slot);
    return Math.max(0, Math.min(points.length - 1, index));
  };
  root.addEventListener("pointermove", (event) => read(points[nearest(event)]));
  root.addEventListener("pointerleave", () => read(null));
  return { root, x, y, slot, nearest };
}

/** As many labels as have room. */
function dayLabels(points, x, slot) {
  const widest = Math.max(...points.map((point) => point.label.length)) * 7 + 12;
  const every = Math.max(1, Math.ceil(widest / slot));
  const last = points.length - 1;
  return points.flatMap((point, index) =>
    (last - index) % every || (every > 1 && x(index) < widest)
      ? []
      : [
          text(point.label, {
            x: x(index) + (every > 1 ? slot / 2 : 0),
            y: HEIGHT - 5,
            "text-anchor": every > 1 ? "end" : "middle",
          }),
        ],
  );
}

function drawBars(options) {
  const { root, x, y, slot } = frame(options);
  const width = Math.max(2, Math.min(44, slot - Math.max(2, slot * 0.2)));
  options.points.forEach((point, index) => {
    const height = y(0) - y(point.value);
    if (height > 0)
      root.append(svg("path", { class: "chart-bar", d: roundTop(x(index) - width / 2, y(point.value), width, height) }));
  });
  return root;
}

/** A bar whose upper corners are round. */
function roundTop(x, y, width, height) {
  const r = Math.min(3, width / 2, height);
  return `M${x} ${y + height}v${r - height}q0 ${-r} ${r} ${-r}h${width - 2 * r}q${r} 0 ${r} ${r}v${height - r}z`;
}

function drawLine(options) {
  const { root, x, y, nearest } = frame(options);
  const steps = options.points.map((point, index) => `${x(index)} ${y(point.value)}`);
  const last = options.points.length - 1;
  const dot = svg("circle", { class: "chart-dot", r: 4, cx: x(last), cy: y(options.points[last].value) });
  root.append(
    svg("path", { class: "chart-area", d: `M${x(0)} ${y(0)}L${steps.join("L")}L${x(last)} ${y(0)}z` }),
    svg("path", { class: "chart-line", d: `M${steps.join("L")}` }),
    dot,
  );
  const move = (index) => {
    dot.setAttribute("cx", x(index));
    dot.setAttribute("cy", y(options.points[index].value));
  };
  root.addEventListener("pointermove", (event) => move(nearest(event)));
  root.addEventListener("pointerleave", () => move(last));
  return root;
}

const text = (content, attributes) => svg("text", { class: "chart-text", ...attributes }, content);
