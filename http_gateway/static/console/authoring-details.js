/**
 * A course's metadata, and its end.
 * @module
 */

import { api } from "./api.js";
import { courseFields, courseOf } from "./course-fields.js";
import { courseFrame, ownCourse } from "./course-frame.js";
import { forget, keep, unsaved, unsavedNote } from "./drafts.js";
import { h } from "./dom.js";
import { valuesOf } from "./forms.js";
import { button, card, confirm, form, toast } from "./parts.js";
import { go } from "./router.js";

/** @param {import("./router.js").Place} place */
export async function show({ params: { courseId }, signal, refresh }) {
  const course = await ownCourse(courseId, signal);
  const key = `details.${courseId}`;
  const typed = unsaved(key);
  const content = form({
    fields: courseFields(typed ? courseOf(typed) : course),
    submit: "Save",
    onSubmit: async (values) => {
      await api.put(`/courses/${courseId}`, courseOf(values), { ifMatch: course.etag });
      forget(key);
      toast("Saved.", "good");
      await refresh();
    },
  });
  content.addEventListener("input", () => keep(key, valuesOf(content)));
  return courseFrame(
    course,
    "/details",
    refresh,
    h(
      "div",
      { class: "narrow" },
      typed && unsavedNote(key, refresh),
      card({}, content),
      course.status !== "COURSE_STATUS_ARCHIVED" &&
        card(
          { title: "Archive" },
          h(
            "p",
            null,
            "Nobody new can enrol. Students who are in it keep their access, their results and their certificates. " +
            "This cannot be undone.",
          ),
          button("Archive this course", { kind: "danger", onClick: () => archive(course) }),
        ),
    ),
  );
}

async function archive(course) {
  const text = `“${course.title}” leaves the catalogue for good. Its students keep what they have.`;
  if (!(await confirm({ title: "Archive the course?", text, action: "Archive" }))) return;
  await api.del(`/courses/${course.id}`);
  toast("The course is archived.");
  go("/teach");
}
