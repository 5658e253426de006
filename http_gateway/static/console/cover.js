/**
 * A course's cover: a quiet pattern that is always the same for a course, and no two are alike.
 * @module
 */

import { svg } from "./dom.js";

const WIDTH = 320;
const HEIGHT = 150;
const TONES = 8;

/**
 * @param {{id: string}} course
 * @returns {SVGElement} decoration, without a name
 */
export function cover({ id }) {
  const random = numbers(id);
  const tone = Math.floor(random() * TONES);
  const shapes = [rings, waves, tiles, beams][Math.floor(random() * 4)](random);
  const box = {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "xMidYMid slice",
    class: `cover cover-${tone}`,
    "aria-hidden": "true",
  };
  return svg("svg", box, svg("rect", { width: WIDTH, height: HEIGHT, class: "ground" }), shapes);
}

function rings(random) {
  const x = 60 + random() * 200;
  const y = random() * HEIGHT;
  return Array.from({ length: 7 }, (_, place) =>
    svg("circle", { cx: x, cy: y, r: 18 + place * 27, class: `line l${place % 3}` }),
  );
}

function waves(random) {
  const lift = 18 + random() * 22;
  const length = 50 + random() * 60;
  return Array.from({ length: 6 }, (_, place) => {
    const y = 20 + place * 24;
    return svg("path", {
      d: `M-40 ${y} q ${length / 2} ${-lift} ${length} 0${` t ${length} 0`.repeat(Math.ceil((WIDTH + 40) / length))}`,
      class: `line l${place % 3}`,
    });
  });
}

function tiles(random) {
  const size = 32;
  const shapes = [];
  for (let x = 0; x < WIDTH; x += size) {
    for (let y = -6; y < HEIGHT; y += size) {
      const turn = Math.floor(random() * 4);
      const quarter = `M0 0 h${size} a${size} ${size} 0 0 1 ${-size} ${size} z`;
      if (random() < 0.62)
        shapes.push(
          svg("path", {
            d: quarter,
            transform: `translate(${x} ${y}) rotate(${turn * 90} ${size / 2} ${size / 2})`,
            class: `fill l${Math.floor(random() * 3)}`,
          }),
        );
    }
  }
  return shapes;
}

function beams(random) {
  const lean = -30 + random() * 60;
  return Array.from({ length: 9 }, (_, place) => {
    const x = place * 42 - 30 + random() * 12;
    const width = 8 + random() * 22;
    return svg("path", {
      d: `M${x} ${HEIGHT + 5} l${lean + 40} -${HEIGHT + 10} h${width} l${-lean - 40} ${HEIGHT + 10} z`,
      class: `fill l${place % 3}`,
    });
  });
}

/** Numbers from 0 up to 1 that follow from a text (FNV-1a, then mulberry32). */
function numbers(text) {
  let state = 2166136261;
  for (const letter of text) state = Math.imul(state ^ letter.charCodeAt(0), 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
