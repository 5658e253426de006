// A server and a clock in the hand of a test, for the client's own rules.
import { Chat, Connection, CLOSE_CODES, backoffMs, reconnects } from "/static/skillforge-realtime.js";

class HandClock {
  time = 1000;
  chance = 0;
  #timers = new Map();
  #next = 1;
  now = () => this.time;
  random = () => this.chance;
  setTimeout = (work, ms) => {
    this.#timers.set(this.#next, { at: this.time + ms, work });
    return this.#next++;
  };
  clearTimeout = (id) => this.#timers.delete(id);
  /** When the next timer is due, in milliseconds from now. */
  get due() {
    return Math.min(...[...this.#timers.values()].map(({ at }) => at)) - this.time;
  }
  async pass(ms) {
    const end = this.time + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, one], [, other]) => one.at - other.at);
      if (!next) break;
      this.#timers.delete(next[0]);
      this.time = Math.max(this.time, next[1].at);
      next[1].work();
      await settled();
    }
    this.time = end;
    await settled();
  }
}

/** What was promised has happened. */
const settled = () => new Promise((done) => setTimeout(done));

/** Something that takes a few steps is so. */
async function until(done) {
  for (let step = 0; !done(); step++) {
    if (step > 200) throw new Error(`never: ${done}`);
    await settled();
  }
}

const LIMITS = { framesPerSecond: 20, framesBurst: 60 };

/** A connection, the sockets it opened, and what it dispatched. `options` are the connection's. */
function setUp(options = {}) {
  const clock = new HandClock();
  const sockets = [];
  class Socket {
    readyState = 1;
    sent = [];
    constructor(url) {
      this.url = url;
      sockets.push(this);
    }
    send = (text) => this.sent.push(JSON.parse(text));
    close = () => (this.readyState = 3);
    /** A frame comes from the server. */
    get = (frame) => this.onmessage({ data: JSON.stringify(frame) });
    end = (code) => this.onclose?.({ code, reason: "" });
    named = (name) => this.sent.filter(({ t }) => t === name);
    /** The server agrees to the connect. */
    accept(info = {}) {
      this.onopen();
      const usual = { userId: "me", epoch: "e", offset: "0", recovered: false, replay: [], heartbeatSeconds: 25, limits: LIMITS };
      this.get({ id: this.sent[0].id, d: { ...usual, ...info } });
    }
  }
  const wishes = [];
  const getToken = async (wish) => {
    wishes.push(wish);
    return `token ${wishes.length}`;
  };
  const usual = { url: "http://x", getToken, deviceId: "d", tabId: "t", clock, WebSocket: Socket };
  const connection = new Connection({ ...usual, ...options });
  const states = [];
  connection.addEventListener("state", ({ detail }) => states.push(detail));
  const pushes = [];
  for (const topic of ["a.b", "chat.message"]) connection.addEventListener(topic, ({ detail }) => pushes.push(detail.data.n));
  return { connection, clock, sockets, states, pushes, wishes };
}

/** The same, connected. */
async function connected(options, info) {
  const parts = setUp(options);
  parts.connection.connect();
  await settled();
  parts.sockets[0].accept(info);
  return parts;
}

Object.assign(window, { setUp, connected, settled, until, Chat, CLOSE_CODES, backoffMs, reconnects });
window.ready = true;
