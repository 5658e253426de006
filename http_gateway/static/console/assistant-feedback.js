/**
 * Feedback on a student's real progress, drafted for a teacher or a parent.
 * @module
 */

import { h, replace } from "./dom.js";
import { button, card, failure, icon } from "./parts.js";
import { madeBy, written } from "./assistant.js";

/** @param {{courseId: string, studentId?: string, name: string}} about `name`: "you" for one's own, without `studentId` */
export function feedbackCard({ courseId, studentId, name }) {
  const place = h("div", { class: "assistant-text", "aria-live": "polite" });
  const run = async () => {
    const text = h("p", { class: "is-writing", dir: "auto" });
    replace(place, text);
    try {
      const made = await written("/ai/feedback/stream", { courseId, studentId }, "feedback", {
        onText: (soFar) => (text.textContent = soFar),
      });
      replace(
        place,
        h("p", { dir: "auto" }, made.feedback),
        list("Going well", "check-circle", made.strengths),
        list(
          "Next",
          "arrow",
          made.nextSteps.map((step) => step.text),
        ),
        madeBy(made, "the record"),
      );
    } catch (error) {
      replace(place, failure(error, run));
    }
  };
  return card(
    { title: "Feedback" },
    h(
      "p",
      { class: "soft" },
      `What ${name} ${name === "you" ? "have" : "has"} done, what goes well and what could be next: from the results alone.`,
    ),
    button(name === "you" ? "Ask for feedback" : "Draft feedback", { icon: "spark", onClick: run }),
    place,
  );
}

const list = (title, iconName, texts) =>
  texts.length > 0 && [
    h("h3", null, title),
    h(
      "ul",
      { class: "marked-list" },
      texts.map((text) => h("li", null, icon(iconName), h("span", { dir: "auto" }, text))),
    ),
  ];
