/**
 * Writing: the field with its draft, and what becomes of messages that cannot be sent.
 * @module
 */

import { h, newId } from "./dom.js";
import { live } from "./live.js";
import { button } from "./parts.js";
import { session } from "./session.js";

const MAX_BYTES = 8192;

/** @typedef {{clientMessageId: string, body: string, reason: string, forget: () => void}} Unsent */

/** By the peer's id, for as long as the page lives. @type {Map<string, Unsent[]>} */
const unsent = new Map();

/** Messages to somebody that could not be sent. @param {string} userId */
export const unsentTo = (userId) => unsent.get(userId) ?? [];

/**
 * Send; what fails is kept, to be tried again under the same id, so that it is written once.
 * @param {string} userId @param {string} body @param {() => void} changed @param {string} [clientMessageId]
 */
export function send(userId, body, changed, clientMessageId = crypto.randomUUID()) {
  live.chat.send(userId, body, clientMessageId).catch((error) => {
    const reason = error.temporary ? "There is no connection." : error.message;
    const item = {
      clientMessageId,
      body,
      reason,
      forget: () =>
        unsent.set(
          userId,
          unsentTo(userId).filter((other) => other !== item),
        ),
    };
    unsent.set(userId, [...unsentTo(userId), item]);
    changed();
  });
}

/**
 * The field to write in: Enter sends, Shift+Enter makes a line. What is typed outlives a reload.
 * @param {import("./live.js").Person} person @param {() => void} changed @param {() => void} toEnd
 */
export function composer(person, changed, toEnd) {
  const key = `skillforge.draft.${session.user.id}.${person.id}`;
  const id = newId("message");
  const problem = h("p", { class: "fault", role: "alert", hidden: true });
  const input = h("textarea", {
    id,
    rows: 1,
    placeholder: `Write to ${person.displayName}`,
    enterkeyhint: "send",
    autofocus: matchMedia("(pointer: fine)").matches,
    value: sessionStorage.getItem(key) ?? "",
  });
  const submit = (event) => {
    event.preventDefault();
    const body = input.value.trim();
    const tooLong = new TextEncoder().encode(body).length > MAX_BYTES;
    problem.textContent = tooLong ? "This is too long for one message: send it in parts." : "";
    problem.hidden = !tooLong;
    if (!body || tooLong) return;
    input.value = "";
    sessionStorage.removeItem(key);
    send(person.id, body, changed);
    toEnd();
  };
  input.addEventListener("input", () => {
    sessionStorage.setItem(key, input.value);
    if (input.value) live.chat?.typing(person.id);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  });
  return h(
    "form",
    { class: "chat-composer", on: { submit } },
    problem,
    h("label", { class: "unseen", for: id }, "Message"),
    input,
    button("Send", { kind: "primary", icon: "send", type: "submit", hidden: true }),
  );
}
