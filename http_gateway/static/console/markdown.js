/**
 * Markdown as elements: headings, paragraphs, lists, quotes, code, tables, rules, emphasis, links and images. HTML in it is
 * text. Links go to http and https alone, images come from https alone. A subset of CommonMark, with GitHub's tables.
 * @module
 */

import { h } from "./dom.js";

const MAX_DEPTH = 8; // of quotes and lists in each other, and of emphasis
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+-]*)\s*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.+?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(\s+)(.*)$/;
const QUOTE = /^ {0,3}> ?/;
const TABLE_RULE = /^ {0,3}\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

/**
 * A text's elements.
 * @param {string} text
 * @param {{top?: number}} [how] `top`: the level of the highest heading, 2 unless given
 * @returns {HTMLElement} a block with class "prose"
 */
export function markdown(text, { top = 2 } = {}) {
  const lines = text.replace(/\r\n?/g, "\n").replaceAll("\t", "    ").split("\n");
  return h("div", { class: "prose", dir: "auto" }, blocks(lines, top, 0));
}

/** A line of Markdown without blocks. @param {string} text @returns {Node[]} */
export const inline = (text) => spans(text, 0);

function blocks(lines, top, depth) {
  const made = [];
  let at = 0;
  while (at < lines.length) {
    const [element, next] = block(lines, at, top, depth);
    if (element) made.push(element);
    at = next;
  }
  return made;
}

/** The block that begins at a line, and the line behind it. */
function block(lines, at, top, depth) {
  const line = lines[at];
  let found;
  if (!line.trim()) return [null, at + 1];
  if ((found = line.match(FENCE))) return code(lines, at, found[1]);
  if ((found = line.match(HEADING))) {
    return [h(`h${Math.min(6, found[1].length + top - 1)}`, { dir: "auto" }, spans(found[2], 0)), at + 1];
  }
  if (RULE.test(line)) return [h("hr"), at + 1];
  if (depth < MAX_DEPTH && QUOTE.test(line)) return quote(lines, at, top, depth);
  if (depth < MAX_DEPTH && ITEM.test(line)) return list(lines, at, top, depth);
  if (line.includes("|") && TABLE_RULE.test(lines[at + 1] ?? "")) return table(lines, at);
  return paragraph(lines, at);
}

function code(lines, at, fence) {
  let end = at + 1;
  while (end < lines.length && !lines[end].trim().startsWith(fence)) end++;
  return [h("pre", { tabindex: 0 }, h("code", { dir: "ltr" }, lines.slice(at + 1, end).join("\n"))), end + 1];
}

function quote(lines, at, top, depth) {
  const end = until(lines, at, (line) => !line.trim());
  const inner = lines.slice(at, end).map((line) => line.replace(QUOTE, ""));
  return [h("blockquote", { dir: "auto" }, blocks(inner, top, depth + 1)), end];
}

function list(lines, at, top, depth) {
  const ordered = /\d/.test(lines[at].match(ITEM)[2]);
  const items = [];
  let next = at;
  while (next < lines.length) {
    const found = lines[next].match(ITEM);
    if (!found || /\d/.test(found[2]) !== ordered) break;
    const indent = found[1].length + found[2].length + Math.min(found[3].length, 4);
    const inner = [found[4]];
    next = itemEnd(lines, next + 1, indent, inner);
    items.push(item(inner, top, depth));
  }
  const start = parseInt(lines[at].trim(), 10);
  return [
    ordered ? h("ol", { start: start === 1 ? null : start, dir: "auto" }, items) : h("ul", { dir: "auto" }, items),
    next,
  ];
}

/** Put the lines that belong to an item into `inner`; the line behind them. */
function itemEnd(lines, from, indent, inner) {
  let next = from;
  for (; next < lines.length; next++) {
    const line = lines[next];
    const inside = line.startsWith(" ".repeat(indent));
    if (!line.trim()) {
      if (!(lines[next + 1] ?? "").startsWith(" ".repeat(indent)))
        return lines[next + 1] && ITEM.test(lines[next + 1]) ? next + 1 : next;
    } else if (!inside && (ITEM.test(line) || !lines[next - 1].trim() || HEADING.test(line))) return next;
    inner.push(inside ? line.slice(indent) : line.trim());
  }
  return next;
}

function item(inner, top, depth) {
  const content = blocks(inner, top, depth + 1);
  const task = inner[0].match(/^\[([ xX])\]\s/);
  // An item of one paragraph is a line, not a paragraph.
  const loose = inner.some((line) => !line.trim());
  const parts = loose ? content : content.flatMap((part) => (part.tagName === "P" ? [...part.childNodes] : [part]));
  return h("li", { dir: "auto", class: task ? "task" : null }, parts);
}

function table(lines, at) {
  const end = until(lines, at + 2, (line) => !line.includes("|"));
  const sides = cells(lines[at + 1]).map((mark) => (mark.endsWith(":") ? (mark.startsWith(":") ? "center" : "end") : null));
  const row = (line, tag) =>
    h(
      "tr",
      null,
      cells(line)
        .slice(0, sides.length)
        .map((cell, place) => h(tag, { scope: tag === "th" ? "col" : null, class: sides[place] }, spans(cell, 0))),
    );
  const body = lines.slice(at + 2, end).map((line) => row(line, "td"));
  return [
    h(
      "div",
      { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "Table" },
      h("table", null, h("thead", null, row(lines[at], "th")), h("tbody", null, body)),
    ),
    end,
  ];
}

const cells = (line) =>
  line
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));

function paragraph(lines, at) {
  const end = until(
    lines,
    at + 1,
    (line) =>
      !line.trim() ||
      FENCE.test(line) ||
      HEADING.test(line) ||
      QUOTE.test(line) ||
      RULE.test(line) ||
      /^ {0,3}([-*+]|1[.)])\s/.test(line),
  );
  return [
    h(
      "p",
      { dir: "auto" },
      spans(
        lines
          .slice(at, end)
          .map((line) => line.trimStart())
          .join("\n"),
        0,
      ),
    ),
    end,
  ];
}

function until(lines, from, ends) {
  let end = from;
  while (end < lines.length && !ends(lines[end])) end++;
  return end;
}

// What stands within a line. Each pattern begins where it is looked for, and looks ahead over one paragraph alone.
const SPANS = [
  [/\\([!-/:-@[-`{-~])/y, (found) => found[1]],
  [/(`+)([^`]|[^`][\s\S]{0,2000}?[^`])\1(?!`)/y, (found) => h("code", { dir: "ltr" }, found[2].replace(/^ (.+) $/s, "$1"))],
  [/!\[([^\]\n]{0,500})\]\(([^\s)]{1,2000})(?:\s+"[^"\n]*")?\)/y, (found) => image(found[1], found[2])],
  [
    /\[([^\]\n]{1,1000})\]\(([^\s)]{1,2000})(?:\s+"[^"\n]*")?\)/y,
    (found, depth) => anchor(spans(found[1], depth + 1), found[2]),
  ],
  [/<(https?:\/\/[^\s<>]{1,2000})>/y, (found) => anchor([found[1]], found[1])],
  [/https?:\/\/[^\s<>()]{1,2000}[^\s<>().,;:!?"'*_]/y, (found) => anchor([found[0]], found[0])],
  [/\*\*(?=\S)([^\n]{0,2000}?\S)\*\*(?!\*)/y, (found, depth) => h("strong", null, spans(found[1], depth + 1))],
  [/__(?=\S)([^\n]{0,2000}?\S)__(?!\w)/y, (found, depth) => h("strong", null, spans(found[1], depth + 1))],
  [/~~(?=\S)([^\n]{0,2000}?\S)~~/y, (found, depth) => h("del", null, spans(found[1], depth + 1))],
  [/\*(?=[^\s*])([^\n*]{0,2000}[^\s*])\*/y, (found, depth) => h("em", null, spans(found[1], depth + 1))],
  [/(?<!\w)_(?=[^\s_])([^\n_]{0,2000}[^\s_])_(?!\w)/y, (found, depth) => h("em", null, spans(found[1], depth + 1))],
  [/(?: {2,}|\\)\n/y, () => h("br")],
];
const PLAIN = /[^\\`![<*_~h \n]+/y;

function spans(text, depth) {
  const made = [];
  let plain = "";
  let at = 0;
  while (at < text.length) {
    const found = depth < MAX_DEPTH ? spanAt(text, at, depth) : null;
    if (found) {
      if (plain) made.push(plain);
      plain = "";
      made.push(found.node);
      at += found.length;
    } else {
      PLAIN.lastIndex = at;
      const run = PLAIN.exec(text)?.[0] ?? text[at];
      plain += run;
      at += run.length;
    }
  }
  if (plain) made.push(plain);
  return made;
}

function spanAt(text, at, depth) {
  for (const [pattern, make] of SPANS) {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) return { node: make(found, depth), length: found[0].length };
  }
  return null;
}

function anchor(children, address) {
  if (!/^https?:\/\//i.test(address)) return h("span", null, children);
  return h("a", { href: address, rel: "noopener noreferrer nofollow", target: "_blank" }, children);
}

const image = (text, address) =>
  /^https:\/\//i.test(address)
    ? h("img", { src: address, alt: text, loading: "lazy", referrerpolicy: "no-referrer" })
    : h("span", null, text);
