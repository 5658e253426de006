/**
 * A call's page, and the calls of before.
 * @module
 */

import { api } from "./api.js";
import { callButtons } from "./call-buttons.js";
import { callText, callTime } from "./call-words.js";
import { h, replace } from "./dom.js";
import { ago, clockTime } from "./format.js";
import { live, whenever } from "./live.js";
import { badge, button, empty, heading, icon, pager } from "./parts.js";
import { face, presenceText, presentFace } from "./people.js";
import { link } from "./router.js";
import { ROLES } from "./session.js";
import { chatPath } from "./chat-path.js";

/** @type {import("./router.js").View[]} */
export const views = [
  { path: "/calls", title: "Calls", roles: [...ROLES], show: showHistory, nav: { text: "Calls", icon: "phone", order: 62 } },
  { path: "/call/:userId", title: "Call", roles: [...ROLES], show: showCall, within: "/calls" },
];

function showCall({ params: { userId }, signal }) {
  const stage = h("section", { class: "call", "aria-label": "Call" });
  const status = h("p", { class: "call-status", role: "status" });
  const parts = {
    remote: video("The other side's picture"),
    own: video("Your own picture"),
    time: h("p", { class: "call-time" }),
  };
  let kind = "";
  const draw = () => {
    const call = live.call?.peer.id === userId ? live.call : null;
    const person = live.person(userId);
    const next = !call ? "none" : call.ended ? "ended" : call.video ? "video" : "voice";
    const text = !call
      ? ""
      : live.callSince && !live.callFlows && !call.ended
        ? "Reconnecting…"
        : callText(call, person.displayName);
    if (status.textContent !== text) status.textContent = text;
    stage.classList.toggle("is-flowing", Boolean(live.callFlows && call && !call.ended));
    if (call && !call.ended) attach(parts, call);
    if (kind !== next)
      replace(
        stage,
        next === "none" || next === "ended" ? idle(person, status, next, signal) : inCall(call, person, status, parts),
      );
    kind = next;
  };
  whenever(["call"], signal, draw);
  whenever(["people"], signal, () => ((kind = ""), draw())); // now the name is known
  const timer = setInterval(() => (parts.time.textContent = callTime(live.callSince)), 500);
  signal.addEventListener("abort", () => clearInterval(timer));
  draw();
  return stage;
}

/** A picture without its sound: that comes from wherever the person is. */
const video = (label) => h("video", { autoplay: true, playsinline: true, muted: true, "aria-label": label });

function attach({ remote, own }, call) {
  if (remote.srcObject !== call.remoteStream) remote.srcObject = call.remoteStream;
  if (own.srcObject !== call.localStream) own.srcObject = call.localStream;
  const seen = call.localStream?.getVideoTracks().length > 0;
  own.hidden = !call.video || !seen;
}

/** Nobody is called now: whom one could call, or why the last call ended. */
function idle(person, status, state, signal) {
  return h(
    "div",
    { class: "call-idle" },
    presentFace(person, signal, "huge"),
    h("h1", { dir: "auto" }, person.displayName),
    state === "ended" ? status : presenceText(person.id, signal),
    callButtons(person, { text: true }),
    h("p", null, link(chatPath(person), "Write a message instead")),
  );
}

function inCall(call, person, status, { remote, own, time }) {
  return h(
    "div",
    { class: `call-stage ${call.video ? "with-video" : "voice-only"}` },
    call.video && h("div", { class: "call-remote" }, remote),
    h(
      "div",
      { class: "call-who" },
      h("span", { class: "call-face" }, face(person, "huge")),
      h("h1", { dir: "auto" }, person.displayName),
      status,
      time,
    ),
    call.video && h("div", { class: "call-own" }, own),
    controls(call),
  );
}

function controls(call) {
  return h(
    "div",
    { class: "call-controls", role: "toolbar", "aria-label": "Call" },
    trackButton(call, "Audio", ["Mute microphone", "mic"], ["Unmute microphone", "mic-off"]),
    call.video && trackButton(call, "Video", ["Turn camera off", "camera"], ["Turn camera on", "camera-off"]),
    button("Hang up", { kind: "danger", icon: "phone-off", onClick: () => call.hangup() }),
  );
}

/** A button that silences a kind of track, and gives it back. */
function trackButton(call, kind, on, off) {
  const tracks = () => call.localStream?.[`get${kind}Tracks`]() ?? [];
  const enabled = tracks().every((track) => track.enabled);
  const [text, name] = enabled ? on : off;
  const element = button(text, { icon: name, hidden: true, class: enabled ? "" : "is-off" });
  element.addEventListener("click", () => {
    tracks().forEach((track) => (track.enabled = !enabled));
    const next = trackButton(call, kind, on, off);
    element.replaceWith(next);
    next.focus();
  });
  return element;
}

async function showHistory({ signal }) {
  const list = h("ul", { class: "card people-list" });
  const render = ({ calls }) => calls.map((call) => line(call, signal));
  const nothing = empty(
    "Calls you make and get are listed here. Call a friend by voice or video.",
    link("/friends", "Friends", { class: "button" }),
    { icon: "phone" },
  );
  const pages = api.list("/calls", { query: { pageSize: 30 }, signal });
  return h(
    "div",
    null,
    heading("Calls", { lead: "Whom you called, and who called you." }),
    await pager({ pages, into: list, render, empty: nothing }),
  );
}

function line(call, signal) {
  live.know([call.peer]);
  const seconds = call.answerTime && call.endTime ? (Date.parse(call.endTime) - Date.parse(call.answerTime)) / 1000 : 0;
  const how = call.missed ? (call.outgoing ? "No answer" : "Missed") : seconds ? clockTime(seconds) : "";
  return h(
    "li",
    { class: `person-line${call.missed && !call.outgoing ? " is-missed" : ""}` },
    presentFace(call.peer, signal),
    h(
      "div",
      { class: "person-line-text" },
      h("strong", { dir: "auto" }, call.peer.displayName),
      h(
        "p",
        null,
        icon(call.media === "CALL_MEDIA_VIDEO" ? "camera" : "phone"),
        call.outgoing ? "Outgoing" : "Incoming",
        " · ",
        h("time", { datetime: call.startTime }, ago(call.startTime)),
        how && !call.missed && ` · ${how}`,
      ),
    ),
    call.missed && badge(how, call.outgoing ? "" : "bad"),
    callButtons(call.peer),
  );
}
