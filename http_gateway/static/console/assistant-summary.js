/**
 * A summary of a lecture, drafted from its notes.
 * @module
 */

import { h, replace } from "./dom.js";
import { button, card, failure, toast } from "./parts.js";
import { madeBy, written } from "./assistant.js";

/** @param {{id: string, notes?: string}} lecture */
export function summaryCard(lecture) {
  const place = h("div", { class: "assistant-text", "aria-live": "polite" });
  const run = async () => {
    const text = h("p", { class: "is-writing", dir: "auto" });
    replace(place, text);
    try {
      const made = await written("/ai/summarize/stream", { lectureId: lecture.id, maxWords: 120 }, "summary", {
        onText: (soFar) => (text.textContent = soFar),
      });
      replace(
        place,
        h("p", { dir: "auto" }, made.summary),
        made.keyPoints.length > 0 &&
          h(
            "ul",
            { class: "bullets" },
            made.keyPoints.map((point) => h("li", { dir: "auto" }, point)),
          ),
        madeBy(made),
        button("Copy", { icon: "copy", small: true, onClick: () => copy(made) }),
      );
    } catch (error) {
      replace(place, failure(error, run));
    }
  };
  const has = Boolean(lecture.notes?.trim());
  return card(
    { title: "Summary" },
    h(
      "p",
      { class: "soft" },
      has
        ? "A short summary of the saved notes, to put before them or to compare with what you meant."
        : "Save some notes first: a summary is drafted from them.",
    ),
    has && button("Draft a summary", { icon: "spark", onClick: run }),
    place,
  );
}

async function copy({ summary, keyPoints }) {
  await navigator.clipboard.writeText([summary, ...keyPoints.map((point) => `- ${point}`)].join("\n"));
  toast("The summary is copied.", "good");
}
