/**
 * Conversations, receipts, typing and presence over a connection.
 * @module
 */

import { newName } from "./realtime-protocol.js";

/** @typedef {import("./realtime-connection.js").Connection} Connection */

/**
 * @typedef {object} Message as the server has it, but for `seq`, which is a number
 * @property {string} id
 * @property {string} senderId
 * @property {string} recipientId
 * @property {string} clientMessageId
 * @property {number} seq its place in the conversation: 1, 2, 3, ...
 * @property {string} body
 * @property {string} sendTime
 */

const TYPING_AGAIN_MS = 5_000;
const TYPING_STOPS_MS = 6_000;
const TYPING_FORGOTTEN_MS = 10_000;
const RECEIPT_MS = 1_000;
const PAGE = 100;
// A larger gap is not filled: the newest page is shown, and `loadOlder` goes back from there.
const MAX_GAP = 500;

/** One conversation: its messages without gaps and in order, and how far each side is. */
export class Conversation {
  /** Without gaps, by `seq`. @type {Message[]} */
  messages = [];
  /** What is being sent, in order. @type {{clientMessageId: string, body: string}[]} */
  pending = [];
  /** How far the peer, and the caller, have received and read it. */
  peerDeliveredSeq = 0;
  peerReadSeq = 0;
  readSeq = 0;
  peerTyping = false;
  /** Whether there may be older messages than the first here. */
  hasOlder = true;

  /** @param {string} userId of the peer */
  constructor(userId) {
    this.userId = userId;
    /** Came out of order, and wait for those before them. @type {Map<number, Message>} */
    this.early = new Map();
    /** Whether its newest messages were read, or came. */
    this.loaded = false;
    this.older = { seq: 0, token: "" };
    this.delivered = 0;
    this.acknowledged = { read: 0, delivered: 0 };
    this.sending = Promise.resolve();
    this.filling = /** @type {Promise<void> | null} */ (null);
    this.timers = { typing: null, stop: null, receipt: null };
    this.typingSentAt = -Infinity;
  }

  /** The newest message here. */
  get lastSeq() {
    return this.messages.at(-1)?.seq ?? 0;
  }
}

/**
 * Dispatches `message` (`{userId, message}`, in order and once), `receipt`, `typing` and `change` (`{userId}`),
 * `conversations` (`{conversations}`, read anew over REST when something may have been missed) and `presence`
 * (`{userId, online, lastSeenTime}`).
 */
export class Chat extends EventTarget {
  /** By the peer's user id. @type {Map<string, Conversation>} */
  conversations = new Map();
  /** What is known of those who are watched. @type {Map<string, {userId: string, online: boolean, lastSeenTime?: string}>} */
  presence = new Map();
  #connection;
  #watched = /** @type {string[]} */ ([]);

  /** @param {Connection} connection */
  constructor(connection) {
    super();
    this.#connection = connection;
    connection.addEventListener("chat.message", (event) => this.#arrived(numbered(event.detail.data)));
    connection.addEventListener("chat.receipt", (event) => this.#marked(event.detail.data));
    connection.addEventListener("chat.typing", (event) => this.#types(event.detail.data.userId, event.detail.data.typing));
    connection.addEventListener("presence.changed", (event) => this.#present(event.detail.data));
    connection.addEventListener("open", (event) => this.#opened(event.detail.recovered));
    if (connection.state === "open") this.#opened(false);
  }

  /**
   * The conversation with somebody; empty until something of it is loaded.
   * @param {string} userId
   */
  conversation(userId) {
    let found = this.conversations.get(userId);
    if (!found) this.conversations.set(userId, (found = new Conversation(userId)));
    return found;
  }

  /**
   * Send a message: it goes out when there is a connection, after those before it, and is written once however often it
   * has to be sent. Rejects with RealtimeError.
   * @param {string} userId
   * @param {string} body
   * @param {string} [clientMessageId] of an earlier try of the same message, to try it again
   * @returns {Promise<Message>}
   */
  send(userId, body, clientMessageId = newName()) {
    const talk = this.conversation(userId);
    const item = { clientMessageId, body };
    talk.pending.push(item);
    this.#stopTyping(talk, false);
    this.#changed(talk);
    const sent = talk.sending
      .then(() => this.#connection.request("chat.send", { to: userId, clientMessageId, body }, { retry: true }))
      .then((reply) => numbered(reply.message))
      .finally(() => this.#settled(talk, item));
    talk.sending = sent.then(() => {}, () => {});
    return sent.then((message) => {
      this.#arrived(message);
      return message;
    });
  }

  /**
   * Load the messages before those that are here: the newest ones, at first.
   * @param {string} userId
   */
  async loadOlder(userId) {
    const talk = this.conversation(userId);
    const first = talk.messages[0]?.seq;
    // A page token leads on from where its page ended.
    let token = first !== undefined && talk.older.seq === first ? talk.older.token : "";
    let page;
    do {
      page = await this.#history(userId, 0, token);
      token = page.nextPageToken;
    } while (first !== undefined && token && page.messages.at(-1).seq >= first);
    const older = page.messages.filter((message) => talk.messages.length === 0 || message.seq < talk.messages[0].seq);
    talk.messages.unshift(...older.reverse());
    talk.older = { seq: talk.messages[0]?.seq ?? 0, token };
    talk.hasOlder = talk.messages.length > 0 && talk.messages[0].seq > 1;
    talk.loaded = true;
    for (const { senderId, seq } of older) if (senderId === userId) talk.delivered = Math.max(talk.delivered, seq);
    this.#release(talk);
    this.#changed(talk);
  }

  /**
   * The caller has read a conversation up to a message: the last one here unless given.
   * @param {string} userId
   * @param {number} [seq]
   */
  markRead(userId, seq = this.conversation(userId).lastSeq) {
    const talk = this.conversation(userId);
    talk.readSeq = Math.max(talk.readSeq, seq);
    this.#receipts(talk);
  }

  /**
   * Call it at every key stroke: the peer is told at once, again every five seconds, and when it is over.
   * @param {string} userId
   */
  typing(userId) {
    const talk = this.conversation(userId);
    const now = this.#connection.clock.now();
    if (now - talk.typingSentAt >= TYPING_AGAIN_MS) {
      talk.typingSentAt = now;
      this.#say(userId, true);
    }
    this.#later(talk, "stop", () => this.#stopTyping(talk, true), TYPING_STOPS_MS);
  }

  /**
   * Watch the presence of friends, instead of those watched before, also on later connections.
   * @param {string[]} userIds
   * @returns {Promise<void>} when it is known how they stand
   */
  async watch(userIds) {
    this.#watched = [...new Set(userIds)];
    this.presence.clear();
    await this.#watch();
  }

  // What comes.

  async #opened(recovered) {
    if (this.#watched.length) this.#watch().catch(() => {});
    for (const talk of this.conversations.values()) this.#receipts(talk);
    if (!recovered) await this.#resync().catch(() => {}); // the next connection tries again
  }

  async #watch() {
    const reply = await this.#connection.request("presence.watch", { userIds: this.#watched }, { retry: true });
    reply.presences.forEach((item) => this.#present(item));
  }

  #present(item) {
    if (!this.#watched.includes(item.userId)) return;
    this.presence.set(item.userId, item);
    if (!item.online) this.#types(item.userId, false);
    this.dispatchEvent(new CustomEvent("presence", { detail: item }));
  }

  /** Something may have been missed: the conversations say what. */
  async #resync() {
    const { conversations } = await this.#connection.rest("GET", `/chat/conversations?pageSize=${PAGE}`);
    for (const item of conversations) {
      const talk = this.conversation(item.peer.id);
      talk.readSeq = Math.max(talk.readSeq, Number(item.readSeq));
      talk.acknowledged = { read: Number(item.readSeq), delivered: Number(item.deliveredSeq) };
      this.#marked({ userId: talk.userId, deliveredSeq: item.peerDeliveredSeq, readSeq: item.peerReadSeq });
      if (talk.loaded && Number(item.lastSeq) > talk.lastSeq) this.#fill(talk, Number(item.lastSeq));
    }
    this.dispatchEvent(new CustomEvent("conversations", { detail: { conversations } }));
  }

  /** @param {Message} message */
  #arrived(message) {
    const mine = message.senderId === this.#connection.userId;
    const talk = this.conversation(mine ? message.recipientId : message.senderId);
    if (!mine) this.#types(talk.userId, false);
    if (talk.messages.length && message.seq <= talk.lastSeq) return;
    talk.early.set(message.seq, message);
    this.#release(talk);
    if (talk.early.size) this.#fill(talk, Math.max(...talk.early.keys()));
  }

  /** Pass on what is next, in order. */
  #release(talk) {
    // Of a conversation nothing of which is loaded, any message is the next one.
    let next = talk.messages.length ? talk.lastSeq + 1 : Math.min(...talk.early.keys());
    for (const seq of talk.early.keys()) if (seq < next) talk.early.delete(seq);
    for (let message; (message = talk.early.get(next)); next++) {
      talk.early.delete(next);
      talk.messages.push(message);
      talk.loaded = true;
      talk.hasOlder = talk.messages[0].seq > 1;
      if (message.senderId === talk.userId) talk.delivered = Math.max(talk.delivered, next);
      this.dispatchEvent(new CustomEvent("message", { detail: { userId: talk.userId, message } }));
      this.#changed(talk);
    }
    this.#receipts(talk);
  }

  /** Fetch what is missing up to a message; one fetch at a time. */
  #fill(talk, upTo) {
    talk.filling ??= this.#fetch(talk, upTo)
      .catch(() => {}) // a later message, or the next connection, tries again
      .finally(() => (talk.filling = null));
  }

  async #fetch(talk, upTo) {
    if (upTo - talk.lastSeq > MAX_GAP) talk.messages = [];
    const after = talk.lastSeq;
    let token = "";
    do {
      const page = await this.#history(talk.userId, after, token);
      page.messages.forEach((message) => talk.early.set(message.seq, message));
      token = after ? page.nextPageToken : "";
    } while (token);
    this.#release(talk);
  }

  async #history(userId, after, token) {
    const query = new URLSearchParams({ pageSize: String(PAGE) });
    if (after) query.set("afterSeq", String(after));
    if (token) query.set("pageToken", token);
    const page = await this.#connection.rest("GET", `/chat/history/${encodeURIComponent(userId)}?${query}`);
    return { messages: page.messages.map(numbered), nextPageToken: page.nextPageToken };
  }

  #marked({ userId, peerId, deliveredSeq, readSeq }) {
    const mine = userId === this.#connection.userId;
    const talk = this.conversation(mine ? peerId : userId);
    if (mine) {
      talk.readSeq = Math.max(talk.readSeq, Number(readSeq)); // on another device
    } else {
      talk.peerReadSeq = Math.max(talk.peerReadSeq, Number(readSeq));
      talk.peerDeliveredSeq = Math.max(talk.peerDeliveredSeq, Number(deliveredSeq), talk.peerReadSeq);
    }
    this.dispatchEvent(new CustomEvent("receipt", { detail: { userId: talk.userId } }));
    this.#changed(talk);
  }

  #types(userId, typing) {
    const talk = this.conversation(userId);
    this.#later(talk, "typing", typing ? () => this.#types(userId, false) : null, TYPING_FORGOTTEN_MS);
    if (talk.peerTyping === typing) return;
    talk.peerTyping = typing;
    this.dispatchEvent(new CustomEvent("typing", { detail: { userId, typing } }));
    this.#changed(talk);
  }

  // What goes.

  #settled(talk, item) {
    talk.pending.splice(talk.pending.indexOf(item), 1);
    this.#changed(talk);
  }

  /** Tell how far the caller is: once a second at most, and always the last. */
  #receipts(talk) {
    if (talk.timers.receipt) return;
    talk.timers.receipt = this.#connection.clock.setTimeout(() => {
      talk.timers.receipt = null;
      this.#acknowledge(talk, "read", talk.readSeq);
      if (talk.delivered > talk.acknowledged.read) this.#acknowledge(talk, "delivered", talk.delivered);
    }, RECEIPT_MS);
  }

  #acknowledge(talk, kind, seq) {
    if (seq <= talk.acknowledged[kind]) return;
    const before = talk.acknowledged[kind];
    talk.acknowledged[kind] = seq;
    this.#connection.request(`chat.${kind}`, { userId: talk.userId, seq }).catch(() => {
      if (talk.acknowledged[kind] === seq) talk.acknowledged[kind] = before; // said again after the next connect
    });
  }

  #stopTyping(talk, tell) {
    this.#later(talk, "stop", null, 0);
    if (talk.typingSentAt === -Infinity) return;
    talk.typingSentAt = -Infinity;
    if (tell) this.#say(talk.userId, false);
  }

  /** Typing is worth nothing later: what cannot be said now is left unsaid. */
  #say(userId, typing) {
    this.#connection.request("chat.typing", { to: userId, typing }).catch(() => {});
  }

  #later(talk, kind, work, ms) {
    const clock = this.#connection.clock;
    clock.clearTimeout(talk.timers[kind]);
    talk.timers[kind] = work && clock.setTimeout(work, ms);
  }

  #changed(talk) {
    this.dispatchEvent(new CustomEvent("change", { detail: { userId: talk.userId } }));
  }
}

/** The wire's 64-bit numbers are texts; a conversation never has so many messages. @returns {Message} */
const numbered = (message) => ({ ...message, seq: Number(message.seq) });
