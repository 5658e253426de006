/**
 * A course's outline: modules and lectures, added, named, moved and deleted. Alt+Arrow moves what has the focus.
 * @module
 */

import { api } from "./api.js";
import { courseFrame, ownCourse } from "./course-frame.js";
import { h, replace } from "./dom.js";
import { duration, plural } from "./format.js";
import { announce } from "./frame.js";
import { moved, order } from "./outline-order.js";
import { badge, button, confirm, dialog, empty, field, form, icon, textOf, toast } from "./parts.js";
import { link } from "./router.js";

/** @param {import("./router.js").Place} place */
export async function show({ params: { courseId }, signal, refresh }) {
  const course = await ownCourse(courseId, signal);
  return courseFrame(course, "", refresh, new Outline(course).element);
}

/** The list, drawn anew after each change with the focus where it was. */
class Outline {
  element = h("div", { class: "draft-outline" });
  #saving = Promise.resolve();

  constructor(course) {
    this.course = course;
    this.#draw();
  }

  get #path() {
    return `/courses/${this.course.id}`;
  }

  #draw(focus = "") {
    const { modules } = this.course;
    replace(
      this.element,
      modules.length > 0 &&
        h(
          "p",
          { class: "hint" },
          "Move with the arrows, or with Alt and the arrow keys. ",
          `${plural(modules.length, "module")}, ${plural(this.course.lectureCount, "lecture")}.`,
        ),
      modules.length > 0
        ? h(
            "ol",
            { class: "draft-modules" },
            modules.map((module, place) => this.#module(module, place)),
          )
        : empty("A course is made of modules, and these of lectures. Begin with a module.", null, {
            icon: "list",
            title: "An empty course",
          }),
      this.#adder({
        label: modules.length ? "Next module" : "First module",
        name: "new-module",
        submit: "Add module",
        path: `${this.#path}/modules`,
      }),
    );
    if (focus) this.element.querySelector(`[data-key="${focus}"]`)?.focus();
  }

  #module(module, place) {
    const head = h(
      "div",
      { class: "draft-head" },
      h("h2", { dir: "auto" }, h("span", { class: "draft-number" }, place + 1), module.title),
      h(
        "div",
        { class: "draft-actions" },
        this.#arrows(module, `module “${module.title}”`),
        button(`Rename module ${module.title}`, {
          icon: "edit",
          kind: "quiet",
          small: true,
          hidden: true,
          onClick: () => this.#rename(module),
        }),
        button(`Delete module ${module.title}`, {
          icon: "trash",
          kind: "quiet",
          small: true,
          hidden: true,
          onClick: () => this.#remove(module, true),
        }),
      ),
    );
    return h(
      "li",
      { class: "card draft-module", on: { keydown: (event) => this.#keys(event, module) } },
      head,
      module.lectures.length > 0 &&
        h(
          "ol",
          { class: "draft-lectures" },
          module.lectures.map((lecture) => this.#lecture(lecture)),
        ),
      this.#adder({
        label: `New lecture in ${module.title}`,
        name: `new-${module.id}`,
        submit: "Add lecture",
        path: `/modules/${module.id}/lectures`,
        quiet: true,
      }),
    );
  }

  #lecture(lecture) {
    const path = `/teach/${this.course.id}/lectures/${lecture.id}`;
    return h(
      "li",
      { class: "draft-lecture", on: { keydown: (event) => this.#keys(event, lecture) } },
      icon(lecture.durationSeconds ? "play" : lecture.hasNotes ? "file" : "circle"),
      link(path, lecture.title, { class: "draft-title", dir: "auto" }),
      h(
        "span",
        { class: "draft-marks" },
        lecture.durationSeconds > 0 && h("span", { class: "meta" }, duration(lecture.durationSeconds)),
        !lecture.durationSeconds && !lecture.hasNotes && badge("Empty", "note"),
        lecture.preview && badge("Preview", "info"),
        link(`${path}/quiz`, badge(lecture.quizId ? "Quiz" : "Add a quiz", lecture.quizId ? "good" : ""), { class: "plain" }),
      ),
      h(
        "div",
        { class: "draft-actions" },
        this.#arrows(lecture, `“${lecture.title}”`),
        button(`Delete lecture ${lecture.title}`, {
          icon: "trash",
          kind: "quiet",
          small: true,
          hidden: true,
          onClick: () => this.#remove(lecture, false),
        }),
      ),
    );
  }

  #arrows(item, name) {
    const arrow = (step, text, iconName) =>
      button(`Move ${name} ${text}`, {
        icon: iconName,
        kind: "quiet",
        small: true,
        hidden: true,
        "data-key": `${text}-${item.id}`,
        onClick: () => this.#move(item, step, `${text}-${item.id}`),
      });
    return [arrow(-1, "up", "up"), arrow(1, "down", "down")];
  }

  #keys(event, item) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!event.altKey || !step) return;
    event.preventDefault();
    event.stopPropagation();
    this.#move(item, step, `${step < 0 ? "up" : "down"}-${item.id}`);
  }

  /** Move at once; the server is told behind it, one change after the other. */
  #move(item, step, focus) {
    const modules = moved(this.course.modules, item.id, step);
    if (!modules) {
      announce(step < 0 ? "It is the first already." : "It is the last already.");
      return;
    }
    this.course = { ...this.course, modules };
    this.#draw(focus);
    announce(`${item.title} moved ${step < 0 ? "up" : "down"}.`);
    const wanted = { modules: order(modules) };
    this.#saving = this.#saving
      .then(() => api.put(`${this.#path}/outline`, wanted))
      .catch((error) => {
        toast(`The order was not saved. ${textOf(error)}`, "bad");
        return this.#reload();
      });
  }

  #adder({ label, name, submit, path, quiet }) {
    const element = form({
      fields: field({
        label,
        name: "title",
        required: true,
        maxlength: 200,
        "data-key": name,
        dir: "auto",
        placeholder: quiet ? "Title of a lecture" : "Title of a module",
      }),
      submit,
      kind: quiet ? "" : "primary",
      class: "inline-form",
      label: submit,
      onSubmit: async ({ title }) => {
        await api.post(path, { title });
        await this.#reload(name);
      },
    });
    return element;
  }

  async #rename(module) {
    const content = (close) =>
      form({
        fields: field({ label: "Title", name: "title", required: true, maxlength: 200, value: module.title, dir: "auto" }),
        submit: "Rename",
        onSubmit: async ({ title }) => close(await api.put(`/modules/${module.id}`, { title })),
      });
    if (await dialog({ title: "Rename the module", content }).closed) await this.#reload();
  }

  async #remove(item, isModule) {
    const text =
      isModule && item.lectures.length
        ? `${plural(item.lectures.length, "lecture")} and their quizzes go with it. What students did stays in their history.`
        : isModule
          ? "It has no lectures."
          : "Its notes and its quiz go with it. What students completed stays in their history.";
    if (!(await confirm({ title: `Delete “${item.title}”?`, text, action: "Delete" }))) return;
    await api.del(`/${isModule ? "modules" : "lectures"}/${item.id}`);
    await this.#reload();
  }

  async #reload(focus = "") {
    this.course = await api.get(this.#path);
    this.#draw(focus);
  }
}
