/**
 * The catalogue: every published course, by words, tag, level and price.
 * @module
 */

import { api } from "./api.js";
import { cover } from "./cover.js";
import { h, replace } from "./dom.js";
import { label, language, plural, price } from "./format.js";
import { badge, button, empty, failure, field, heading, icon, loading, pager } from "./parts.js";
import { here, link, note } from "./router.js";

const TYPING_MS = 250;
const LEVELS = [
  ["", "Any level"],
  ...["BEGINNER", "INTERMEDIATE", "ADVANCED"].map((name) => [`COURSE_LEVEL_${name}`, label(name, "")]),
];
const ORDERS = [
  ["", "Newest first"],
  ["COURSE_ORDER_POPULAR", "Most students first"],
  ["COURSE_ORDER_TITLE", "By title"],
];
const PRICES = [
  ["", "Any price"],
  ["true", "Free"],
  ["false", "Paid"],
];

export const views = [
  { path: "/courses", title: "Courses", nav: { text: "Courses", icon: "compass", order: 20 }, show: showCatalogue },
];

async function showCatalogue({ query, signal }) {
  const found = h("div", { class: "found", "aria-live": "polite" });
  const filters = filterBar(query, (chosen) => {
    note(`/courses${asQuery(chosen)}`);
    search(found, chosen, signal);
  });
  await search(found, Object.fromEntries(query), signal);
  return h(
    "div",
    null,
    heading("Courses", { lead: "Browse everything the school teaches. Many courses have a free first lecture." }),
    filters,
    found,
  );
}

/** Fill the place with what is found; only the latest question counts. */
async function search(place, chosen, signal) {
  const asked = JSON.stringify(chosen);
  place.dataset.asked = asked;
  const wait = setTimeout(() => replace(place, loading("Looking …")), 300);
  const { text, ...rest } = chosen;
  const query = { query: text, ...rest, pageSize: 24 };
  const shown = await pager({
    pages: api.list("/courses", { query, signal }),
    into: h("ul", { class: "grid courses" }),
    render: (page) => page.courses.map((course) => h("li", null, courseCard(course))),
    empty: nothing(chosen),
  }).catch((error) => (signal.aborted ? "" : failure(error, () => search(place, chosen, signal))));
  clearTimeout(wait);
  if (place.dataset.asked === asked && !signal.aborted) replace(place, shown);
}

const nothing = (chosen) =>
  Object.values(chosen).some(Boolean)
    ? empty(
        "No course has all of that. Try fewer words, or take a filter away.",
        link("/courses", "Show all courses", { class: "button", on: { click: startOver } }),
        { icon: "search" },
      )
    : empty("No course is published yet.", null, { icon: "book" });

/** The link leads to where one is already when nothing but the filters changed. */
function startOver(event) {
  if (here().path !== "/courses") return;
  event.preventDefault();
  note("/courses");
  dispatchEvent(new HashChangeEvent("hashchange"));
}

function filterBar(query, onChange) {
  const select = (name, text, options) =>
    field({ label: text, name, type: "select", options, value: query.get(name) ?? "", optional: false });
  const words = field({
    label: "Search",
    name: "text",
    type: "search",
    value: query.get("text") ?? "",
    optional: false,
    placeholder: "Title, topic or teacher",
  });
  const tag = query.get("tag");
  const element = h(
    "form",
    { class: "filters", role: "search", on: { submit: (event) => event.preventDefault() } },
    words,
    select("level", "Level", LEVELS),
    select("free", "Price", PRICES),
    select("orderBy", "Order", ORDERS),
    tag &&
      h(
        "p",
        { class: "chosen-tag" },
        badge(`#${tag}`, "info"),
        button("Any topic", { kind: "quiet", small: true, onClick: dropTag }),
      ),
  );
  let timer = 0;
  const tell = () =>
    onChange({
      ...Object.fromEntries([...new FormData(element)].filter(([, value]) => value)),
      ...(element.querySelector(".chosen-tag") ? { tag } : {}),
    });
  element.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(tell, event.target.type === "search" ? TYPING_MS : 0);
  });
  function dropTag() {
    element.querySelector(".chosen-tag").remove();
    tell();
  }
  return element;
}

/** A course in a list. @param {any} course */
export const courseCard = (course) =>
  h(
    "article",
    { class: "course-card" },
    h("div", { class: "cover-frame" }, cover(course), h("span", { class: "price-tag" }, price(course.price))),
    h(
      "div",
      { class: "course-text" },
      h("h2", { dir: "auto" }, link(`/courses/${course.id}`, course.title, { class: "over" })),
      h("p", { class: "soft by", dir: "auto" }, course.instructor.displayName),
      h("p", { class: "about", dir: "auto" }, course.description),
      h(
        "p",
        { class: "course-facts" },
        icon("book"),
        plural(course.lectureCount, "lecture"),
        course.level !== "COURSE_LEVEL_UNSPECIFIED" && h("span", null, label(course.level, "COURSE_LEVEL")),
        course.language && h("span", null, language(course.language)),
      ),
    ),
  );

function asQuery(chosen) {
  const text = new URLSearchParams(chosen).toString();
  return text && `?${text}`;
}
