/**
 * One connection of one tab: it connects, resumes where it was, and never shows an event twice.
 * @module
 */

import { Pacer, RealtimeError, Seen, backoffMs, clientError } from "./realtime-protocol.js";
import { deviceName, newName, reconnects, systemClock } from "./realtime-protocol.js";

/** @typedef {import("./realtime-protocol.js").Clock} Clock */

/**
 * @typedef {object} ConnectionOptions
 * @property {(wish: {fresh: boolean}) => Promise<string>} getToken the session token; `fresh`: not one from a cache
 * @property {string} [url] of the service; the page's own origin unless given
 * @property {boolean} [useTicket] connect with a one-time ticket, which REST gives, instead of the token
 * @property {string} [deviceId] kept in localStorage unless given
 * @property {string} [tabId] a new one for each connection unless given
 * @property {Clock} [clock]
 * @property {typeof WebSocket} [WebSocket]
 * @property {typeof fetch} [fetch]
 */

/**
 * @typedef {object} Job a request that waits to be sent or answered
 * @property {number} id
 * @property {string} name
 * @property {object} data
 * @property {boolean} retry
 * @property {number} tries
 * @property {number} sentOn the socket it was sent on; 0: none
 * @property {number} notBefore
 * @property {any} timer
 * @property {(reply: any) => void} resolve
 * @property {(error: Error) => void} reject
 */

// How long a way to the service may take to open; and then the connection on it, which a service that many come to at once
// opens within forty seconds: whoever gives up earlier only adds to the crowd.
const CONNECT_MS = 15_000;
const ADMIT_MS = 45_000;
const REQUEST_MS = 15_000;
const RETRY_MS = 120_000;
const PROBE_MS = 5_000;
const SILENCE_GRACE_MS = 10_000;
// A connection that has stood for so long counts as good: the next break is waited for briefly again.
const GOOD_MS = 10_000;
const MAX_JOBS = 200;
const SEEN_EVENTS = 2048;

/**
 * Dispatches `state`, `open` (after each connect, when what was missed has been dispatched; `detail.recovered` false:
 * fetch over REST), and every push by its topic, with `detail` `{data, id, offset}`.
 */
export class Connection extends EventTarget {
  /** @type {"idle" | "connecting" | "open" | "waiting" | "closed"} */
  state = "idle";
  /** The reply to the last `connect`; null before the first. @type {any} */
  info = null;
  #options;
  #clock;
  #socket = /** @type {WebSocket | null} */ (null);
  #generation = 0;
  #attempt = 0;
  #fresh = false;
  #openedAt = 0;
  #heardAt = 0;
  /** What the service's time is at 0 of the clock. */
  #serverAhead = NaN;
  #connectId = 0;
  #refusal = "";
  #epoch = "";
  #offset = 0;
  #seen = new Seen(SEEN_EVENTS);
  #nextId = 1;
  /** In the order in which they were asked. @type {Map<number, Job>} */
  #jobs = new Map();
  #pacer = new Pacer(20, 50);
  #timers = { open: null, silence: null, flush: null };
  #nudged = () => this.#nudge();

  /** @param {ConnectionOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.url = (options.url ?? location.origin).replace(/\/$/, "");
    this.deviceId = options.deviceId ?? deviceName();
    this.tabId = options.tabId ?? newName();
  }

  /** The clock of all that belongs to this connection. */
  get clock() {
    return this.#clock;
  }

  /** The caller's user id; "" before the first connect. @type {string} */
  get userId() {
    return this.info?.userId ?? "";
  }

  /** The service's time in milliseconds since 1970, whatever the clock of this machine says. */
  serverNow() {
    return this.#serverAhead + this.#clock.now();
  }

  /** Connect, and stay connected until `close` or a close code that says otherwise. */
  connect() {
    if (this.state !== "idle" && this.state !== "closed") return;
    this.#attempt = 0;
    this.#refusal = "";
    globalThis.addEventListener?.("online", this.#nudged);
    globalThis.document?.addEventListener("visibilitychange", this.#nudged);
    this.#open();
  }

  /** Close the connection. What still waits for an answer fails with CLOSED. */
  close() {
    this.#finish(1000, "closed by the page");
  }

  /**
   * Send a frame and return its reply's data. Rejects with RealtimeError.
   * @param {string} name such as "chat.send"
   * @param {object} [data]
   * @param {{retry?: boolean, timeoutMs?: number}} [how] `retry`: may be sent more than once, and waits for a connection
   * @returns {Promise<any>}
   */
  request(name, data = {}, { retry = false, timeoutMs = retry ? RETRY_MS : REQUEST_MS } = {}) {
    if (this.state === "closed") return Promise.reject(clientError("CLOSED", "The connection is closed."));
    if (this.state !== "open" && !retry) return Promise.reject(clientError("NOT_CONNECTED", "There is no connection now."));
    if (this.#jobs.size >= MAX_JOBS) return Promise.reject(clientError("QUEUE_FULL", "Too many requests wait already."));
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const timer = this.#clock.setTimeout(() => {
        const error = { code: "DEADLINE_EXCEEDED", reason: "NO_REPLY", detail: "There was no reply in time." };
        this.#settle(id)?.reject(new RealtimeError(error));
      }, timeoutMs);
      this.#jobs.set(id, { id, name, data, retry, tries: 0, sentOn: 0, notBefore: 0, timer, resolve, reject });
      this.#flush();
    });
  }

  /**
   * Call the REST door with the session's token. Rejects with RealtimeError.
   * @param {string} verb
   * @param {string} path with its query
   * @param {object} [body]
   * @returns {Promise<any>}
   */
  async rest(verb, path, body) {
    const headers = { Authorization: `Bearer ${await this.#options.getToken({ fresh: false })}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const call = this.#options.fetch ?? fetch.bind(globalThis);
    let response;
    try {
      const text = body === undefined ? undefined : JSON.stringify(body);
      response = await call(this.url + path, { method: verb, headers, body: text, signal: AbortSignal.timeout(REQUEST_MS) });
    } catch (error) {
      throw clientError("NO_ANSWER", String(error));
    }
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    const after = Number(response.headers.get("Retry-After")) * 1000 || undefined;
    throw new RealtimeError({ code: "UNKNOWN", reason: `HTTP_${response.status}`, retryAfterMs: after, ...answer });
  }

  // Opening and closing.

  async #open() {
    const generation = ++this.#generation;
    this.#set("connecting");
    this.#later("open", () => this.#lost(generation, 1006, "it took too long"), CONNECT_MS);
    try {
      const credentials = await this.#credentials();
      if (generation !== this.#generation) return;
      const socket = new (this.#options.WebSocket ?? WebSocket)(`${this.url.replace(/^http/, "ws")}/ws`);
      this.#socket = socket;
      socket.onopen = () => {
        this.#later("open", () => this.#lost(generation, 1006, "it took too long"), ADMIT_MS);
        this.#hello(credentials);
      };
      socket.onmessage = (message) => generation === this.#generation && this.#take(JSON.parse(message.data));
      socket.onclose = (event) => this.#lost(generation, event.code, event.reason);
    } catch (error) {
      const refused = error instanceof RealtimeError && ["UNAUTHENTICATED", "PERMISSION_DENIED"].includes(error.code);
      this.#lost(generation, refused ? 4500 : 1006, String(error));
    }
  }

  async #credentials() {
    const fresh = this.#fresh;
    this.#fresh = false;
    if (!this.#options.useTicket) return { token: await this.#options.getToken({ fresh }) };
    if (fresh) await this.#options.getToken({ fresh });
    return { ticket: (await this.rest("POST", "/realtime/ticket", {})).ticket };
  }

  #hello(credentials) {
    this.#connectId = this.#nextId++;
    const resume = this.#epoch ? { resume: { epoch: this.#epoch, offset: this.#offset } } : {};
    const who = { deviceId: this.deviceId, tabId: this.tabId };
    this.#send({ id: this.#connectId, t: "connect", d: { ...credentials, ...who, ...resume } });
  }

  #connected(info) {
    this.info = info;
    this.#openedAt = this.#clock.now();
    this.#serverAhead = Date.parse(info.serverTime) - this.#openedAt;
    const { framesPerSecond, framesBurst } = info.limits;
    this.#pacer = new Pacer(framesPerSecond, Math.max(1, framesBurst - 10));
    this.#later("open", null, 0);
    this.#watchSilence();
    if (info.epoch !== this.#epoch) this.#offset = 0;
    this.#epoch = info.epoch;
    this.#set("open", { recovered: info.recovered });
    info.replay.forEach((push) => this.#push(push));
    this.#offset = Number(info.offset);
    this.dispatchEvent(new CustomEvent("open", { detail: { recovered: info.recovered, info } }));
    this.#flush();
  }

  /** The socket of a generation is gone, or as good as gone. */
  #lost(generation, code, reason) {
    if (generation !== this.#generation) return;
    // A ticket or token may run out between its making and its use; once.
    const stale = code === 4500 && this.#refusal === "TICKET_INVALID" && this.#attempt === 0;
    if (!reconnects(code) && !stale) {
      this.#finish(code, reason);
      return;
    }
    this.#drop(code);
    if (this.#openedAt && this.#clock.now() - this.#openedAt > GOOD_MS) this.#attempt = 0;
    this.#openedAt = 0;
    this.#fresh = code === 4006 || stale;
    const wait = backoffMs(this.#attempt++, this.#clock.random());
    this.#later("open", () => this.#open(), wait);
    this.#set("waiting", { code, reason, retryInMs: wait });
    for (const job of [...this.#jobs.values()]) {
      job.sentOn = 0;
      if (!job.retry) this.#settle(job.id)?.reject(clientError("NOT_CONNECTED", "The connection was lost before the reply."));
    }
  }

  #finish(code, reason) {
    if (this.state === "closed") return;
    this.#drop(code);
    this.#later("open", null, 0);
    globalThis.removeEventListener?.("online", this.#nudged);
    globalThis.document?.removeEventListener("visibilitychange", this.#nudged);
    this.#set("closed", { code, reason });
    for (const job of [...this.#jobs.values()]) this.#settle(job.id)?.reject(clientError("CLOSED", "The connection is closed."));
  }

  /** Let go of the socket, without waiting for a closing handshake that may never come. */
  #drop(code) {
    this.#generation++;
    const socket = this.#socket;
    this.#socket = null;
    this.#later("silence", null, 0);
    this.#later("flush", null, 0);
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code === 1000 ? 1000 : undefined);
  }

  /** The network came back, or the page is seen again: waiting is over, and a socket has to show that it lives. */
  #nudge() {
    if (globalThis.document?.visibilityState === "hidden") return;
    if (this.state === "waiting") this.#open();
    if (this.state !== "open") return;
    const generation = this.#generation;
    this.request("pong", { offset: this.#offset }, { timeoutMs: PROBE_MS }).catch((error) => {
      if (error.reason === "NO_REPLY") this.#lost(generation, 1006, "no sign of life");
    });
  }

  #watchSilence() {
    const limit = this.info.heartbeatSeconds * 1000 + SILENCE_GRACE_MS;
    const left = this.#heardAt + limit - this.#clock.now();
    if (left <= 0) this.#lost(this.#generation, 1006, "the server is silent");
    else this.#later("silence", () => this.#watchSilence(), left);
  }

  // Frames.

  #take(frame) {
    this.#heardAt = this.#clock.now();
    if (frame.t !== undefined) this.#push(frame);
    else if (frame.id !== this.#connectId) this.#reply(frame);
    else if (frame.err) this.#refusal = frame.err.reason; // the close code follows
    else this.#connected(frame.d);
  }

  #push(frame) {
    if (frame.t === "ping") {
      this.#pacer.take(this.#clock.now(), true);
      this.#send({ t: "pong", d: { offset: this.#offset } });
      return;
    }
    if (frame.t === "auth.expiring") this.#refresh(this.#generation, 0);
    if (frame.o !== undefined) {
      if (frame.o <= this.#offset) return;
      this.#offset = frame.o;
    }
    // After a crash the server may write an event twice, in two places, under the same id.
    if (frame.id && !this.#seen.add(frame.id)) return;
    this.dispatchEvent(new CustomEvent(frame.t, { detail: { data: frame.d, id: frame.id ?? "", offset: frame.o ?? 0 } }));
  }

  /** Go on under a new token; until the server closes, a failure is tried again. */
  async #refresh(generation, attempt) {
    try {
      const token = await this.#options.getToken({ fresh: true });
      if (generation === this.#generation) await this.request("auth.refresh", { token });
    } catch {
      this.#clock.setTimeout(() => {
        if (generation === this.#generation) this.#refresh(generation, attempt + 1);
      }, backoffMs(attempt + 2, this.#clock.random()));
    }
  }

  #reply(frame) {
    const job = this.#jobs.get(frame.id);
    if (!job) return;
    const error = frame.err && new RealtimeError(frame.err);
    if (error?.temporary && job.retry) {
      job.sentOn = 0;
      job.notBefore = this.#clock.now() + (error.retryAfterMs ?? backoffMs(job.tries, this.#clock.random()));
      this.#flush();
      return;
    }
    this.#settle(frame.id);
    if (error) job.reject(error);
    else job.resolve(frame.d);
  }

  /** Send what waits, in its order, as fast as the server allows. */
  #flush() {
    if (this.state !== "open") return;
    const now = this.#clock.now();
    let again = Infinity;
    for (const job of this.#jobs.values()) {
      if (job.sentOn === this.#generation) continue;
      const wait = job.notBefore > now ? job.notBefore - now : this.#pacer.take(now);
      again = Math.min(again, wait || Infinity);
      if (job.notBefore > now) continue;
      if (wait) break;
      job.sentOn = this.#generation;
      job.tries++;
      this.#send({ id: job.id, t: job.name, d: job.data });
    }
    this.#later("flush", again < Infinity ? () => this.#flush() : null, again);
  }

  #send(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  /** Take a job out, whose promise is then settled. */
  #settle(id) {
    const job = this.#jobs.get(id);
    if (job) this.#clock.clearTimeout(job.timer);
    this.#jobs.delete(id);
    return job;
  }

  /** Plan the one next step of a kind, in place of the planned one. */
  #later(kind, work, ms) {
    this.#clock.clearTimeout(this.#timers[kind]);
    this.#timers[kind] = work && this.#clock.setTimeout(work, ms);
  }

  #set(state, detail = {}) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, ...detail } }));
  }
}
