/**
 * A lecture's editor: title, video, notes beside what they look like, and a summary drafted from them.
 * @module
 */

import { api } from "./api.js";
import { summaryCard } from "./assistant-summary.js";
import { courseFrame, ownCourse } from "./course-frame.js";
import { forget, keep, unsaved, unsavedNote } from "./drafts.js";
import { h, replace } from "./dom.js";
import { valuesOf } from "./forms.js";
import { markdown } from "./markdown.js";
import { badge, button, card, confirm, field, form, icon, toast } from "./parts.js";
import { go, link } from "./router.js";

/** @param {import("./router.js").Place} place */
export async function show({ params: { courseId, lectureId }, signal, refresh }) {
  const [course, lecture] = await Promise.all([ownCourse(courseId, signal), api.get(`/lectures/${lectureId}`, { signal })]);
  const key = `lecture.${lectureId}`;
  const typed = unsaved(key);
  const values = typed ?? {
    title: lecture.title,
    url: lecture.video?.url,
    minutes: minutesOf(lecture.video),
    notes: lecture.notes,
    preview: lecture.preview,
  };
  const editor = lectureForm(values, async (sent) => {
    await api.put(`/lectures/${lectureId}`, lectureOf(sent), { ifMatch: lecture.etag });
    forget(key);
    toast("The lecture is saved.", "good");
    await refresh();
  });
  editor.addEventListener("input", () => keep(key, valuesOf(editor)));
  return courseFrame(
    course,
    "",
    refresh,
    typed && unsavedNote(key, refresh),
    h("h2", { class: "part-title", dir: "auto" }, lecture.title),
    card({}, editor),
    h("div", { class: "pair" }, quizCard(courseId, lecture), summaryCard(lecture)),
    neighbours(course, lecture),
  );
}

const minutesOf = (video) => (video?.durationSeconds ? Math.round((video.durationSeconds / 60) * 100) / 100 : null);

const lectureOf = ({ title, url, minutes, notes, preview }) => ({
  title,
  notes,
  preview,
  video: url.trim() ? { url: url.trim(), durationSeconds: Math.round((minutes ?? 0) * 60) } : undefined,
});

function lectureForm(values, onSubmit) {
  const shown = h("div", { class: "notes-preview", "aria-label": "How the notes look", role: "region", tabindex: 0 });
  const notes = field({
    label: "Notes",
    name: "notes",
    type: "textarea",
    rows: 18,
    value: values.notes,
    hint: "Markdown: headings with #, lists with -, code between ```.",
    dir: "auto",
    class: "notes",
  });
  const draw = () => {
    const text = notes.querySelector("textarea").value;
    replace(shown, text.trim() ? markdown(text, { top: 3 }) : h("p", { class: "hint" }, "The notes as students see them."));
  };
  notes.addEventListener("input", draw);
  draw();
  const url = field({
    label: "Video",
    name: "url",
    type: "url",
    value: values.url,
    placeholder: "https://",
    maxlength: 2000,
    hint: "The address of a video file; browsers play MP4 and WebM.",
  });
  const minutes = field({
    label: "Length, minutes",
    name: "minutes",
    type: "number",
    min: 0,
    max: 1440,
    step: "any",
    value: values.minutes,
    hint: "Read from the video where that can be.",
  });
  url.addEventListener("change", () => measure(url.querySelector("input").value, minutes.querySelector("input")));
  return form({
    fields: [
      field({ label: "Title", name: "title", required: true, maxlength: 200, value: values.title, dir: "auto" }),
      h("div", { class: "field-row wide-first" }, url, minutes),
      h("div", { class: "notes-pair" }, notes, shown),
      field({
        label: "Anybody may look at this lecture before they enrol",
        name: "preview",
        type: "checkbox",
        value: values.preview,
      }),
    ],
    submit: "Save",
    onSubmit,
  });
}

/** Ask the video how long it is; a person's own word stays. */
function measure(url, control) {
  if (!/^https?:\/\//.test(url) || control.value) return;
  const video = h("video", { preload: "metadata", src: url, muted: true });
  video.addEventListener("loadedmetadata", () => {
    if (control.value || !Number.isFinite(video.duration)) return;
    control.value = String(Math.round((video.duration / 60) * 100) / 100);
    control.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

function quizCard(courseId, lecture) {
  const path = `/teach/${courseId}/lectures/${lecture.id}/quiz`;
  return card(
    { title: "Quiz", actions: lecture.quizId ? badge("Written", "good") : null },
    h(
      "p",
      null,
      lecture.quizId
        ? "Students are asked after the lecture. Attempts that are open keep their questions."
        : "A few questions after the lecture show students what they have understood.",
    ),
    link(path, [icon("quiz"), h("span", null, lecture.quizId ? "Edit the quiz" : "Write a quiz")], { class: "button" }),
  );
}

/** The lectures before and behind, and the way out. */
function neighbours(course, lecture) {
  const all = course.modules.flatMap((module) => module.lectures);
  const at = all.findIndex(({ id }) => id === lecture.id);
  const to = (item, text, name) =>
    item &&
    link(
      `/teach/${course.id}/lectures/${item.id}`,
      [name === "back" && icon(name), h("span", null, `${text}: ${item.title}`), name === "arrow" && icon(name)],
      { class: "button quiet" },
    );
  return h(
    "nav",
    { class: "neighbours", "aria-label": "Lectures" },
    to(all[at - 1], "Before", "back"),
    to(all[at + 1], "Next", "arrow"),
    button("Delete this lecture", { kind: "quiet", icon: "trash", onClick: () => remove(course, lecture) }),
  );
}

async function remove(course, lecture) {
  const text = "Its notes and its quiz go with it. What students completed stays in their history.";
  if (!(await confirm({ title: `Delete “${lecture.title}”?`, text, action: "Delete" }))) return;
  await api.del(`/lectures/${lecture.id}`);
  forget(`lecture.${lecture.id}`);
  go(`/teach/${course.id}`);
}
