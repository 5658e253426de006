/**
 * The editor of a lecture's quiz, and of a course's final exam.
 * @module
 */

import { ApiError, api } from "./api.js";
import { draftQuestions } from "./assistant-quiz.js";
import { courseFrame, ownCourse } from "./course-frame.js";
import { forget, keep, unsaved, unsavedNote } from "./drafts.js";
import { h, replace } from "./dom.js";
import { plural } from "./format.js";
import { valuesOf } from "./forms.js";
import { button, card, confirm, empty, field, icon, textOf, toast } from "./parts.js";
import { link } from "./router.js";
import { questionEditor } from "./quiz-question.js";
import { byQuestion, draftOf, newQuestion, wire } from "./quiz-shape.js";

/** @param {import("./router.js").Place} place */
export async function show({ params: { courseId, lectureId }, signal, refresh }) {
  const course = await ownCourse(courseId, signal);
  const lecture = lectureId && (await api.get(`/lectures/${lectureId}`, { signal }));
  const path = lecture ? `/lectures/${lectureId}/quiz` : `/courses/${courseId}/exam`;
  const exists = Boolean(lecture ? lecture.quizId : course.examId);
  const quiz = exists ? await api.get(path, { signal }) : null;
  const editor = new QuizEditor({ path, quiz, course, lecture, refresh });
  const back =
    lecture && h("p", { class: "back" }, icon("back"), link(`/teach/${courseId}/lectures/${lectureId}`, lecture.title));
  return courseFrame(
    course,
    lecture ? "" : "/exam",
    refresh,
    back,
    h("h2", { class: "part-title" }, lecture ? "Quiz of this lecture" : "Final exam"),
    editor.element,
  );
}

class QuizEditor {
  element = h("div", { class: "quiz-editor" });
  #list = h("div", { class: "questions" });
  #bar = h("div", { class: "save-bar" });
  #faults = /** @type {Map<number, string[]>} */ (new Map());

  constructor({ path, quiz, course, lecture, refresh }) {
    Object.assign(this, { path, quiz, course, lecture, refresh, key: `quiz.${path}` });
    const typed = unsaved(this.key);
    this.dirty = Boolean(typed);
    this.settings = typed?.settings ?? settingsOf(quiz, course, lecture);
    this.questions = typed?.questions ?? (quiz?.questions ?? []).map((question) => draftOf(question));
    this.form = settingsForm(this.settings, () => this.#changed());
    replace(this.element, typed && unsavedNote(this.key, refresh), card({}, this.form), this.#list, this.#adders(), this.#bar);
    this.#draw();
  }

  #adders() {
    return h(
      "div",
      { class: "adders" },
      button("Add a question", { icon: "plus", onClick: () => this.#add([newQuestion()]) }),
      button("Draft questions", {
        icon: "spark",
        onClick: async () => this.#add((await draftQuestions(this.course, this.lecture)) ?? []),
      }),
    );
  }

  #add(questions) {
    if (!questions.length) return;
    const first = this.questions.length;
    this.questions.push(...questions);
    this.#changed();
    this.#draw();
    this.#focus(first, "textarea");
  }

  #draw() {
    replace(
      this.#list,
      this.questions.map((question, place) => questionEditor(question, place, this.#acts(place))),
      !this.questions.length &&
        empty("No questions yet. Write one, or have some drafted from the lecture's own text.", null, { icon: "quiz" }),
    );
    this.#drawBar();
  }

  #acts(place) {
    return {
      faults: this.#faults.get(place) ?? [],
      changed: () => this.#changed(),
      redraw: (next, focus) => {
        this.questions[place] = next;
        this.#changed();
        this.#draw();
        if (focus) this.#focus(place, `[data-key="${focus}"], [name="${focus}"]`);
      },
      move: (step) => {
        const to = place + step;
        if (!this.questions[to]) return;
        [this.questions[place], this.questions[to]] = [this.questions[to], this.questions[place]];
        this.#faults.clear();
        this.#changed();
        this.#draw();
        this.#focus(to, `[data-key="Move ${step < 0 ? "up" : "down"}-${to}"]`);
      },
      copy: () => this.#add([{ ...structuredClone(this.questions[place]), id: "" }]),
      remove: () => {
        this.questions.splice(place, 1);
        this.#faults.clear();
        this.#changed();
        this.#draw();
      },
    };
  }

  #focus(place, selector) {
    const question = this.#list.children[place];
    question?.scrollIntoView({ block: "nearest" });
    question?.querySelector(selector)?.focus();
  }

  #changed() {
    this.settings = valuesOf(this.form);
    this.dirty = true;
    keep(this.key, { settings: this.settings, questions: this.questions });
    this.#drawBar();
  }

  #drawBar(problem = "") {
    const points = this.questions.reduce((sum, question) => sum + (question.points || 1), 0);
    replace(
      this.#bar,
      h(
        "div",
        { class: "save-text" },
        h("strong", null, `${plural(this.questions.length, "question")}, ${plural(points, "point")}`),
        h(
          "span",
          { role: "status", class: problem ? "fault" : "" },
          problem || (this.dirty ? "Not saved yet" : this.quiz ? "Saved" : "New"),
        ),
      ),
      this.quiz && button("Delete", { kind: "quiet", icon: "trash", onClick: () => this.#delete() }),
      button("Save", { kind: "primary", onClick: () => this.#save() }),
    );
  }

  async #save() {
    this.#faults.clear();
    const { minutes, passPercent, maxAttempts, ...settings } = valuesOf(this.form);
    const body = {
      ...settings,
      passPercent: passPercent ?? 0,
      maxAttempts: maxAttempts ?? 0,
      timeLimitSeconds: Math.round((minutes ?? 0) * 60),
      questions: this.questions.map(wire),
    };
    try {
      await api.put(this.path, body, { ifMatch: this.quiz?.etag });
    } catch (error) {
      this.#tell(error);
      return;
    }
    forget(this.key);
    toast("The questions are saved.", "good");
    await this.refresh();
  }

  /** Show a refusal beside the questions it is about. */
  #tell(error) {
    const { found, others } = byQuestion(error instanceof ApiError ? error.violations : []);
    this.#faults = found;
    this.#draw();
    const [first] = [...found.keys()].sort((one, other) => one - other);
    if (first !== undefined) this.#focus(first, "textarea");
    this.#drawBar(found.size ? `Look at ${plural(found.size, "question")}. ${others.join(" ")}` : textOf(error));
  }

  async #delete() {
    const title = this.lecture ? "Delete the quiz?" : "Delete the final exam?";
    if (!(await confirm({ title, text: "Attempts and their results stay in the students' history.", action: "Delete" }))) return;
    await api.del(this.path);
    forget(this.key);
    await this.refresh();
  }
}

const settingsOf = (quiz, course, lecture) => ({
  title: quiz?.title ?? (lecture ? `Quiz: ${lecture.title}` : `Final exam: ${course.title}`).slice(0, 200),
  passPercent: quiz?.passPercent ?? 60,
  minutes: quiz?.timeLimitSeconds ? quiz.timeLimitSeconds / 60 : null,
  maxAttempts: quiz?.maxAttempts || null,
  shuffle: quiz?.shuffle ?? false,
});

function settingsForm(settings, changed) {
  const numbers = h(
    "div",
    { class: "field-row three" },
    field({
      label: "To pass, percent",
      name: "passPercent",
      type: "number",
      min: 0,
      max: 100,
      value: settings.passPercent,
      required: true,
    }),
    field({
      label: "Time limit, minutes",
      name: "minutes",
      type: "number",
      min: 0,
      max: 1440,
      step: "any",
      value: settings.minutes,
      hint: "Empty: none.",
    }),
    field({
      label: "Attempts",
      name: "maxAttempts",
      type: "number",
      min: 0,
      max: 1000,
      value: settings.maxAttempts,
      hint: "Empty: as many as one likes.",
    }),
  );
  const element = h(
    "form",
    { class: "form", on: { input: changed, submit: (event) => event.preventDefault() } },
    field({ label: "Title", name: "title", required: true, maxlength: 200, value: settings.title, dir: "auto" }),
    numbers,
    field({
      label: "Another order of questions and choices in each attempt",
      name: "shuffle",
      type: "checkbox",
      value: settings.shuffle,
    }),
  );
  return element;
}
