/**
 * What connection, chat and calls share: close codes, errors, times. No dependency, no side effect.
 * @module
 */

/**
 * Close codes of the server. From 4500 on, connecting again changes nothing.
 * @type {Readonly<Record<number, string>>}
 */
export const CLOSE_CODES = Object.freeze({
  4000: "draining",
  4001: "error",
  4002: "too slow",
  4003: "state lost",
  4004: "no pong",
  4005: "flood",
  4006: "token expired",
  4007: "no connect in time",
  4500: "bad credentials",
  4501: "protocol error",
  4503: "revoked",
  4504: "too many sockets",
  4505: "superseded",
});

/**
 * Whether a client connects again after a close code; also codes that are the browser's own, such as 1006.
 * @param {number} code
 */
export const reconnects = (code) => code < 4500 || code > 4999;

/**
 * How long to wait before an attempt, in milliseconds: doubling, up to 30 s, each time a random half to whole of it.
 * @param {number} attempt 0 for the first
 * @param {number} random from 0 up to 1
 */
export const backoffMs = (attempt, random) => Math.min(30_000, 500 * 2 ** Math.min(attempt, 16)) * (0.5 + random / 2);

/** A call that failed. `code` is gRPC's name, `reason` the contract's (or one of this client's, see docs/realtime.md). */
export class RealtimeError extends Error {
  /** @param {{code: string, reason: string, detail?: string, retryAfterMs?: number, violations?: object[]}} error */
  constructor({ code, reason, detail, retryAfterMs, violations }) {
    super(detail || reason);
    this.name = "RealtimeError";
    this.code = code;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
    this.violations = violations ?? [];
  }

  /** Whether the same request may succeed later. */
  get temporary() {
    return ["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"].includes(this.code);
  }
}

/**
 * An error of the client's own.
 * @param {string} reason
 * @param {string} detail
 */
export const clientError = (reason, detail) => new RealtimeError({ code: "UNAVAILABLE", reason, detail });

/**
 * Time and chance, so that tests may turn them.
 * @typedef {object} Clock
 * @property {() => number} now milliseconds that never go back
 * @property {(work: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {() => number} random
 */

/** @type {Clock} */
export const systemClock = {
  now: () => performance.now(),
  setTimeout: (work, ms) => setTimeout(work, ms),
  clearTimeout: (timer) => clearTimeout(timer),
  random: () => Math.random(),
};

/** A name that nobody has used: 128 random bits. */
export const newName = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The name of this browser, kept for as long as its storage is. */
export function deviceName() {
  const key = "skillforge.device";
  try {
    const known = localStorage.getItem(key) ?? newName();
    localStorage.setItem(key, known);
    return known;
  } catch {
    return newName(); // a page without storage is a new device each time
  }
}

/** A set of the latest texts: what it has seen, up to a limit. */
export class Seen {
  #texts = new Set();

  /** @param {number} limit */
  constructor(limit) {
    this.limit = limit;
  }

  /**
   * Whether a text is new; it is seen from now on.
   * @param {string} text
   */
  add(text) {
    if (this.#texts.has(text)) return false;
    this.#texts.add(text);
    if (this.#texts.size > this.limit) this.#texts.delete(this.#texts.values().next().value);
    return true;
  }
}

/**
 * The server's limit of frames (GCRA), kept by the client, so that it is never closed for a flood.
 */
export class Pacer {
  #arrival = 0;

  /**
   * @param {number} perSecond
   * @param {number} burst
   */
  constructor(perSecond, burst) {
    this.interval = 1000 / perSecond;
    this.burst = burst;
  }

  /**
   * Milliseconds to wait before the next frame; 0: it is counted, send it. `must`: send it in any case.
   * @param {number} now
   * @param {boolean} [must]
   */
  take(now, must = false) {
    const arrival = Math.max(this.#arrival, now);
    const wait = arrival - now - (this.burst - 1) * this.interval;
    if (wait > 0 && !must) return wait;
    this.#arrival = arrival + this.interval;
    return 0;
  }
}
