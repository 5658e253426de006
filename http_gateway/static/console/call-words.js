/**
 * What a call's states and ends are called.
 * @module
 */

import { clockTime } from "./format.js";

/** @typedef {import("../skillforge-realtime.js").Call} Call */

/** @type {Record<string, (name: string, outgoing: boolean) => string>} */
const ENDS = {
  BUSY: (name) => `${name} is in another call.`,
  DECLINED: (name, outgoing) => (outgoing ? `${name} declined the call.` : "You declined the call."),
  CANCELLED: (name, outgoing) => (outgoing ? "You took the call back." : `${name} took the call back.`),
  TIMEOUT: (name, outgoing) => (outgoing ? `${name} did not answer.` : `You missed a call from ${name}.`),
  MISSED: (name) => `You missed a call from ${name}.`,
  REPLACED: () => "The call was replaced by another one.",
  ICE_FAILED: () => "No connection could be made between the two of you.",
  PEER_LOST: (name) => `${name} is gone: the connection was lost.`,
  FORBIDDEN: (name) => `You and ${name} may not call each other any more.`,
  HANGUP: () => "The call has ended.",
  ELSEWHERE: () => "The call was answered on another device.",
  ANSWERED: () => "You called each other; the call goes on.",
  NO_MEDIA: () => "The browser gave no microphone. Connect one, allow it for this page, and try again.",
  CLOSED: () => "The call ended because you signed out.",
  FAILED: (name) => `${name} could not be called.`,
};

/**
 * What is said about a call: its state while it lives, why it ended afterwards.
 * @param {Call} call
 * @param {string} name of the peer
 */
export function callText(call, name) {
  if (call.state === "ringing") return call.outgoing ? "Calling…" : `${call.video ? "Video" : "Voice"} call`;
  if (call.state === "connecting") return "Connecting…";
  if (call.state === "ended") return (ENDS[call.reason] ?? ENDS.HANGUP)(name, call.outgoing);
  return "In call";
}

/** For how long media have flowed: "2:14". @param {number} since by Date.now(); 0: they did not */
export const callTime = (since) => (since ? clockTime((Date.now() - since) / 1000) : "");
