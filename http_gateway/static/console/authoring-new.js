/**
 * A new course.
 * @module
 */

import { api } from "./api.js";
import { courseFields, courseOf } from "./course-fields.js";
import { h } from "./dom.js";
import { card, form, heading } from "./parts.js";
import { go, link } from "./router.js";

/** The page. */
export function show() {
  const content = form({
    fields: courseFields({ price: { amountMinor: 0, currency: "" }, tags: [], language: "en" }),
    submit: "Create the draft",
    onSubmit: async (values) => {
      const course = await api.post("/courses", courseOf(values));
      go(`/teach/${course.id}`);
    },
  });
  return h(
    "div",
    { class: "narrow" },
    heading("New course", {
      back: link("/teach", "My courses"),
      lead: "Only the title is needed now. Nobody sees the course before you publish it.",
    }),
    card({}, content),
  );
}
