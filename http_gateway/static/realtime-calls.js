/**
 * Calls: ringing, answering and ending, over a connection; the media of each are a PeerLink's.
 * @module
 */

import { PeerLink } from "./realtime-peer.js";
import { newName } from "./realtime-protocol.js";

/** @typedef {import("./realtime-connection.js").Connection} Connection */

/**
 * @typedef {object} CallsOptions
 * @property {(wish: {video: boolean}) => Promise<MediaStream>} [getMedia] camera and microphone, unless given
 * @property {RTCConfiguration} [configuration] such as `{iceTransportPolicy: "relay"}`; its iceServers come from the service
 * @property {typeof RTCPeerConnection} [RTCPeerConnection]
 */

// A call rings for a minute; the server says when it is over, unless nobody can hear it.
const RING_MS = 60_000;
const RING_GRACE_MS = 5_000;
const GREET_MS = 5_000;
const MAX_HELD = 256;

/**
 * One call. Dispatches `state` (`{state, reason}`), `track` (`{track, stream}`), `media` (`{flowing}`) and `fault` (`{error}`,
 * something of the negotiation failed; the call goes on trying).
 */
export class Call extends EventTarget {
  /** "" until the server has answered an invite. */
  id = "";
  /** @type {"ringing" | "connecting" | "active" | "ended"} */
  state = "ringing";
  /** Why it ended: the server's reason without its prefix ("HANGUP", "BUSY", ...), or this client's own. */
  reason = "";
  /** @type {MediaStream | null} */
  localStream = null;
  remoteStream = new MediaStream();
  /** @type {PeerLink | null} */
  link = null;
  #calls;
  #answering = false;
  #answered = false;
  #ownStream = false;
  #takenBack = false;
  #clientCallId = newName();
  #held = /** @type {any[]} */ ([]);
  #timer = null;

  /**
   * @param {Calls} calls
   * @param {{outgoing: boolean, peer: {id: string, displayName?: string, imageUrl?: string}, video: boolean}} what
   */
  constructor(calls, { outgoing, peer, video }) {
    super();
    this.#calls = calls;
    this.outgoing = outgoing;
    this.peer = peer;
    this.video = video;
  }

  get ended() {
    return this.state === "ended";
  }

  /**
   * Answer a call that rings, on this device. Rejects when there is no camera or microphone: it goes on ringing.
   * @param {MediaStream} [stream] to send; camera and microphone unless given
   */
  async accept(stream) {
    if (this.#answering || this.ended) return;
    this.#answering = true;
    try {
      await this.#takeMedia(stream);
    } catch (error) {
      this.#answering = false;
      throw error;
    }
    if (this.ended) return;
    this.#answered = true;
    await this.#ask("call.accept", { callId: this.id });
  }

  /** Decline a call that rings, on all devices. */
  reject() {
    this.#leave("call.reject", "DECLINED");
  }

  /** Hang up, or take an invite back. */
  hangup() {
    this.#leave("call.hangup", this.state === "ringing" ? "CANCELLED" : "HANGUP");
  }

  /**
   * @internal
   * @param {MediaStream} [stream]
   */
  async invite(stream) {
    try {
      await this.#takeMedia(stream);
    } catch (error) {
      this.#fault(error);
      this.end("NO_MEDIA");
      return;
    }
    await this.#ask("call.invite", this.#invitation());
    if (this.#takenBack && this.id) this.#calls.request("call.hangup", { callId: this.id }).catch(() => {});
  }

  /** @internal Ring for as long as the server would. */
  ring(ageMs = 0) {
    this.#later(() => this.end("TIMEOUT"), RING_MS - ageMs + RING_GRACE_MS);
  }

  /** @internal Both devices are known. Another tab of this device may have answered. */
  accepted({ polite, peerId }) {
    if (!this.outgoing && !this.#answered) this.end("ELSEWHERE");
    else if (peerId === undefined || peerId === this.peer.id) this.#begin(polite);
  }

  /** @internal */
  signal(signal) {
    if (this.link) this.link.take(signal);
    else if (this.#held.length < MAX_HELD) this.#held.push(signal);
  }

  /** @internal There is a connection again. Without what happened meanwhile, the server is asked. */
  revive(recovered) {
    if (this.ended || !this.id) return;
    this.link?.revive();
    if (recovered) return;
    if (this.outgoing) this.#ask("call.invite", this.#invitation());
    else if (this.#answered) this.#ask("call.accept", { callId: this.id });
    else this.#later(() => this.end("MISSED"), GREET_MS); // it rings again at once if it still rings
  }

  /** @internal It is over, whoever ended it. */
  end(reason) {
    if (this.ended) return;
    this.#later(null, 0);
    this.link?.close();
    if (this.#ownStream) this.localStream?.getTracks().forEach((track) => track.stop());
    this.reason = reason;
    this.#set("ended");
    this.#calls.forget(this);
  }

  #invitation() {
    return { to: this.peer.id, media: this.video ? "CALL_MEDIA_VIDEO" : "CALL_MEDIA_AUDIO", clientCallId: this.#clientCallId };
  }

  async #takeMedia(stream) {
    this.#ownStream = !stream;
    this.localStream = stream ?? this.localStream ?? (await this.#calls.getMedia({ video: this.video }));
    if (this.ended && this.#ownStream) this.localStream.getTracks().forEach((track) => track.stop());
  }

  /** Make a call whose reply says what this call is. A call that has begun does not end because the server is away. */
  async #ask(name, data) {
    try {
      this.#adopt(await this.#calls.request(name, data));
    } catch (error) {
      this.#fault(error);
      if (!this.link || !error.temporary) this.end(error.reason === "ALREADY_ANSWERED" ? "ELSEWHERE" : "FAILED");
    }
  }

  /** What the server says the call is. */
  #adopt(status) {
    if (this.ended) {
      this.id ||= status.callId;
      return;
    }
    this.outgoing = status.outgoing; // crossing invites are one call, of whoever was first
    if (!this.outgoing) this.#answered = true;
    this.video = status.media === "CALL_MEDIA_VIDEO";
    this.peer = { ...this.peer, ...status.peer };
    if (!this.id) this.#calls.name(this, status.callId); // and what came for it before this reply
    if (status.state === "CALL_STATE_ENDED") this.end(plain(status.reason));
    else if (this.link || this.ended) return;
    else if (status.state === "CALL_STATE_RINGING") this.ring();
    else this.#begin(!status.outgoing);
  }

  #begin(polite) {
    if (this.link || this.ended) return;
    this.#later(null, 0);
    this.#set("connecting");
    this.link = new PeerLink({
      ...this.#calls.linkOptions,
      polite,
      video: this.video,
      stream: this.localStream,
      send: (signal) => this.#calls.request("call.signal", { callId: this.id, clientSignalId: newName(), ...signal }),
      onTrack: (track) => this.#track(track),
      onConnected: (flowing) => this.#flowing(flowing),
      onGivenUp: () => this.hangup(),
      onFault: (error) => this.#fault(error),
    });
    this.#held.splice(0).forEach((signal) => this.link.take(signal));
  }

  #track(track) {
    this.remoteStream.addTrack(track);
    this.dispatchEvent(new CustomEvent("track", { detail: { track, stream: this.remoteStream } }));
  }

  #flowing(flowing) {
    this.dispatchEvent(new CustomEvent("media", { detail: { flowing } }));
    if (!flowing || this.state !== "connecting") return;
    this.#set("active");
    this.#ask("call.connected", { callId: this.id });
  }

  #leave(name, reason) {
    if (this.ended) return;
    const id = this.id;
    this.end(reason);
    this.#takenBack = !id;
    if (id) this.#calls.request(name, { callId: id }).catch(() => {});
  }

  #fault(error) {
    this.dispatchEvent(new CustomEvent("fault", { detail: { error } }));
  }

  #set(state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, reason: this.reason } }));
  }

  #later(work, ms) {
    const { clock } = this.#calls.linkOptions;
    clock.clearTimeout(this.#timer);
    this.#timer = work && clock.setTimeout(work, ms);
  }
}

/** The calls of a connection. Dispatches `incoming` (`{call}`). */
export class Calls extends EventTarget {
  #connection;
  #options;
  /** @type {Map<string, Call>} */
  #calls = new Map();
  /** Calls whose id the server has not said yet, and what came meanwhile for ids that are not known. */
  #nameless = new Set();
  #early = /** @type {{topic: string, data: any}[]} */ ([]);

  /**
   * @param {Connection} connection
   * @param {CallsOptions} [options]
   */
  constructor(connection, options = {}) {
    super();
    this.#connection = connection;
    this.#options = options;
    for (const topic of ["call.ringing", "call.accepted", "call.signal", "call.ended", "call.elsewhere"]) {
      connection.addEventListener(topic, (event) => this.#take(topic, event.detail.data));
    }
    connection.addEventListener("open", ({ detail }) => this.current.forEach((call) => call.revive(detail.recovered)));
    connection.addEventListener("state", ({ detail }) => {
      if (detail.state === "closed") this.current.forEach((call) => call.end("CLOSED"));
    });
    globalThis.addEventListener?.("online", () => this.current.forEach((call) => call.link?.revive()));
    globalThis.addEventListener?.("pagehide", () => {
      for (const call of this.current) if (call.link || call.outgoing) call.hangup();
    });
  }

  /** Those that are not over. */
  get current() {
    return [...this.#calls.values(), ...this.#nameless];
  }

  /**
   * Call somebody.
   * @param {string} userId
   * @param {{video?: boolean, stream?: MediaStream}} [how]
   */
  invite(userId, { video = true, stream } = {}) {
    const call = new Call(this, { outgoing: true, peer: { id: userId }, video });
    this.#nameless.add(call);
    call.invite(stream);
    return call;
  }

  /** @internal */
  get linkOptions() {
    return {
      configuration: this.#options.configuration ?? {},
      RTCPeerConnection: this.#options.RTCPeerConnection ?? globalThis.RTCPeerConnection,
      clock: this.#connection.clock,
      serverNow: () => this.#connection.serverNow(),
      iceServers: () => this.#connection.rest("GET", "/calls/ice-servers"),
    };
  }

  /** @internal */
  getMedia(wish) {
    if (this.#options.getMedia) return this.#options.getMedia(wish);
    return navigator.mediaDevices.getUserMedia({ audio: true, video: wish.video });
  }

  /** @internal Every frame of a call may be repeated. */
  request(name, data) {
    return this.#connection.request(name, data, { retry: true, timeoutMs: 30_000 });
  }

  /** @internal The server has said which call it is; it may be one that rings here already. */
  name(call, id) {
    this.#calls.get(id)?.end("ANSWERED");
    this.#nameless.delete(call);
    call.id = id;
    this.#calls.set(id, call);
    const early = this.#early.filter(({ data }) => data.callId === id);
    if (!this.#nameless.size) this.#early = [];
    early.forEach(({ topic, data }) => this.#take(topic, data));
  }

  /** @internal */
  forget(call) {
    this.#nameless.delete(call);
    if (!this.#nameless.size) this.#early = [];
    if (this.#calls.get(call.id) === call) this.#calls.delete(call.id);
  }

  #take(topic, data) {
    const call = this.#calls.get(data.callId);
    if (topic === "call.ringing") this.#rings(call, data);
    else if (call) this.#pass(call, topic, data);
    else if (this.#nameless.size && this.#early.length < MAX_HELD) this.#early.push({ topic, data });
  }

  #pass(call, topic, data) {
    if (topic === "call.accepted") call.accepted(data);
    else if (topic === "call.signal") call.signal(data);
    else if (topic === "call.elsewhere") call.end("ELSEWHERE");
    else call.end(plain(data.reason));
  }

  #rings(known, { callId, caller, media, ageMs }) {
    if (known) {
      known.ring(ageMs);
      return;
    }
    const call = new Call(this, { outgoing: false, peer: caller, video: media === "CALL_MEDIA_VIDEO" });
    call.id = callId;
    this.#calls.set(callId, call);
    call.ring(ageMs);
    this.dispatchEvent(new CustomEvent("incoming", { detail: { call } }));
  }
}

const plain = (reason) => reason.replace("CALL_END_REASON_", "");
