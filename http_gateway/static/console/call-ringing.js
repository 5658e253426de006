/**
 * What a call shows wherever the person is: the dialog that rings, and the bar that leads back to a call that goes on.
 * @module
 */

import { callText, callTime } from "./call-words.js";
import { h, replace } from "./dom.js";
import { live } from "./live.js";
import { button, icon, toast } from "./parts.js";
import { face } from "./people.js";
import { chatPath } from "./chat-path.js";
import { go, here, link } from "./router.js";
import { startRinging, stopRinging } from "./ring-tone.js";

/** The voice of the other side, which sounds on every page. */
const voice = h("audio", { autoplay: true });
const bar = h("div", { class: "call-bar", role: "region", "aria-label": "Call", hidden: true });
let ringing = /** @type {{call: object, element: HTMLDialogElement} | null} */ (null);
let ended = /** @type {object | null} */ (null);

/** Show calls from now on. */
export function startCalls() {
  document.body.append(voice, bar);
  live.addEventListener("call", draw);
  addEventListener("shown", drawBar);
  setInterval(drawTime, 1000);
}

function draw() {
  const { call } = live;
  const stream = call && !call.ended ? call.remoteStream : null;
  if (voice.srcObject !== stream) voice.srcObject = stream;
  ring(call);
  drawBar();
  if (call?.ended && ended !== call) tellEnd(call);
}

/** Say why a call ended, where its own page is not there to say so. */
function tellEnd(call) {
  ended = call;
  if (here().path === `/call/${call.peer.id}`) return;
  const { displayName } = live.person(call.peer.id);
  const missed = !call.outgoing && ["TIMEOUT", "CANCELLED", "MISSED"].includes(call.reason);
  const text = missed ? `You missed a call from ${displayName}.` : callText(call, displayName);
  toast(text, missed ? "note" : "", { action: { text: "Message", onClick: () => go(chatPath(live.person(call.peer.id))) } });
}

function ring(call) {
  const rings = call && !call.outgoing && call.state === "ringing";
  if (rings && ringing?.call === call) return;
  if (ringing) {
    ringing.element.close();
    ringing.element.remove();
    ringing = null;
    stopRinging();
  }
  if (rings) open(call);
}

function open(call) {
  const { displayName, imageUrl } = live.person(call.peer.id);
  const problem = h("p", { class: "fault", role: "alert", hidden: true });
  const answer = async () => {
    try {
      await call.accept();
      go(`/call/${call.peer.id}`);
    } catch {
      problem.textContent = "The browser gave no microphone. Connect one, allow it for this page, and answer again.";
      problem.hidden = false;
    }
  };
  // Whoever is just typing must not answer by it: the focus is on the name, and Escape does nothing.
  const title = h("h2", { tabindex: -1, autofocus: true, id: "ringing" }, `${displayName} is calling`);
  const element = h(
    "dialog",
    { class: "ringing", "aria-labelledby": "ringing", on: { cancel: (event) => event.preventDefault() } },
    h("span", { class: "ringing-face" }, face({ id: call.peer.id, displayName, imageUrl }, "huge")),
    title,
    h("p", null, callText(call, displayName)),
    problem,
    h(
      "div",
      { class: "ringing-actions" },
      button("Decline", { kind: "danger", icon: "phone-off", onClick: () => call.reject() }),
      button("Answer", { kind: "good", icon: call.video ? "camera" : "phone", onClick: answer }),
    ),
  );
  ringing = { call, element };
  document.body.append(element);
  element.showModal();
  startRinging();
}

/** The bar is there while a call goes on and another page is shown. */
function drawBar() {
  const { call } = live;
  const shown = call && !call.ended && (call.outgoing || call.state !== "ringing") && here().path !== `/call/${call.peer.id}`;
  bar.hidden = !shown;
  if (!shown) return;
  const person = live.person(call.peer.id);
  replace(
    bar,
    face(person, "small"),
    link(
      `/call/${call.peer.id}`,
      [h("strong", { dir: "auto" }, person.displayName), h("span", { class: "call-bar-time" }, stateText(call, person))],
      { class: "call-bar-text" },
    ),
    link(`/call/${call.peer.id}`, [icon("external"), h("span", null, "Return")], { class: "button small" }),
    button("Hang up", { kind: "danger", small: true, icon: "phone-off", onClick: () => call.hangup() }),
  );
}

function drawTime() {
  if (bar.hidden || !live.call) return;
  const text = stateText(live.call, live.person(live.call.peer.id));
  const place = bar.querySelector(".call-bar-time");
  if (place.textContent !== text) place.textContent = text;
}

const stateText = (call, person) =>
  live.callSince && call.state !== "ended" ? callTime(live.callSince) : callText(call, person.displayName);
