/**
 * The answer sheet of an attempt: kept here at every change, and saved at the server soon after. What could not be saved is
 * tried again, and survives a reload.
 * @module
 */

import { ApiError, api } from "./api.js";

const SAVE_AFTER_MS = 800;
const RETRY_MS = 4000;

/**
 * Dispatches `state` whenever `state` changes: "saved", "saving", "waiting" (it did not work, and is tried again) or
 *   "closed".
 */
export class AnswerSheet extends EventTarget {
  /** @type {"saved" | "saving" | "waiting" | "closed"} */
  state = "saved";
  /** When the server last had everything. @type {Date | null} */
  savedAt = null;
  #attempt;
  #key;
  /** @type {Map<string, any>} */
  #answers;
  #timer = 0;
  #dirty = false;
  #signal;

  /** @param {any} attempt as the server gives it @param {AbortSignal} signal ends the saving, after a last one */
  constructor(attempt, signal) {
    super();
    this.#attempt = attempt;
    this.#key = `skillforge.answers.${attempt.id}`;
    this.#signal = signal;
    const kept = JSON.parse(sessionStorage.getItem(this.#key) ?? "null");
    this.#answers = new Map((kept ?? attempt.answers).map((answer) => [answer.questionId, answer]));
    if (kept) this.#later(0);
    signal.addEventListener("abort", () => this.#dirty && this.#save());
  }

  /** What was answered to a question. @param {string} questionId @returns {any} */
  get(questionId) {
    return this.#answers.get(questionId);
  }

  /** How many questions have an answer. */
  get count() {
    return this.all().length;
  }

  /** Every answer, as the server takes them. */
  all() {
    return [...this.#answers.values()].filter(
      (answer) => answer.choiceIds?.length || answer.text || typeof answer.number === "number",
    );
  }

  /** Answer a question. @param {any} answer with its `questionId` */
  set(answer) {
    this.#answers.set(answer.questionId, answer);
    sessionStorage.setItem(this.#key, JSON.stringify(this.all()));
    this.#later(SAVE_AFTER_MS);
  }

  /** Hand it in. @returns {Promise<any>} the graded attempt */
  async submit() {
    clearTimeout(this.#timer);
    const graded = await api.post(`/attempts/${this.#attempt.id}/submit`, { answers: this.all() });
    this.#dirty = false;
    this.#set("closed");
    sessionStorage.removeItem(this.#key);
    return graded;
  }

  #later(ms) {
    this.#dirty = true;
    this.#set("saving");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#save(), ms);
  }

  async #save() {
    this.#dirty = false;
    const answers = this.all();
    try {
      await api.put(`/attempts/${this.#attempt.id}/answers`, { answers });
    } catch (error) {
      if (error instanceof ApiError && !error.temporary) return this.#set("closed"); // its time is over: what was saved counts
      this.#dirty = true;
      this.#set("waiting");
      if (!this.#signal.aborted) this.#timer = setTimeout(() => this.#save(), RETRY_MS);
      return;
    }
    if (this.#dirty) return; // there is something newer by now
    sessionStorage.removeItem(this.#key);
    this.savedAt = new Date();
    this.#set("saved");
  }

  #set(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
