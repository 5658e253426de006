/**
 * What is live: one connection of this tab for whoever is signed in, with its chat, its calls, its friends' presence, and
 * the notices that arrive meanwhile. Views listen; they never open sockets.
 * @module
 */

import { Calls, Chat, Connection } from "../skillforge-realtime.js";
import { api } from "./api.js";
import { pause } from "./dom.js";
import { session } from "./session.js";

/** @typedef {{id: string, displayName: string, imageUrl?: string}} Person */

/** The topics that change what views show; each becomes an event of `live` with the topic's data in `detail`. */
export const TOPICS = Object.freeze([
  "enrollment.unlocked",
  "progress.changed",
  "certificate.issued",
  "payment.updated",
  "friend.requested",
  "friend.accepted",
  "friend.removed",
]);
const MAX_WATCHED = 200;
const REFUSALS = [4500, 4503];
const REFUSED_MS = 2000;

/**
 * Dispatches `state`, `missed` (events were lost: read anew what is shown), `conversations` (read anew), `message`, `unread`,
 * `presence`, `people`, `call`, and the TOPICS.
 */
class Live extends EventTarget {
  /** @type {Connection | null} */
  connection = null;
  /** @type {Chat | null} */
  chat = null;
  /** @type {Calls | null} */
  calls = null;
  /**
   * The call that rings or goes on here, or the last one until another begins.
   * @type {import("../skillforge-realtime.js").Call | null}
   */
  call = null;
  /** Since when the call's media flow, by Date.now(), and whether they do now. */
  callSince = 0;
  callFlows = false;
  /** Everybody whose name is known, by id. @type {Map<string, Person>} */
  people = new Map();
  /** How many messages of whom wait to be read. @type {Map<string, number>} */
  unreadOf = new Map();
  #userId = "";

  /** Follow the session from now on: connect at sign-in, leave at sign-out. */
  start() {
    session.addEventListener("change", () => this.#follow());
    this.#follow();
  }

  /** "idle" while nobody is signed in; then the connection's. */
  get state() {
    return this.connection?.state ?? "idle";
  }

  /** Messages that wait to be read, of everybody. */
  get unread() {
    return [...this.unreadOf.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Whether a friend is online; undefined: not known. @param {string} userId */
  online(userId) {
    return this.chat?.presence.get(userId)?.online;
  }

  /** Remember people's names. @param {Person[]} people */
  know(people) {
    for (const person of people) if (person.displayName) this.people.set(person.id, person);
  }

  /** A person by what is known. @param {string} userId @returns {Person} */
  person(userId) {
    return this.people.get(userId) ?? { id: userId, displayName: "Somebody", imageUrl: "" };
  }

  /** The caller has read a conversation up to its end. @param {string} userId */
  read(userId) {
    this.chat?.markRead(userId);
    if (this.unreadOf.delete(userId)) this.#tell("unread");
  }

  /** Call somebody; a call that goes on here already is returned instead. @param {Person} person */
  invite(person, { video }) {
    if (this.call && !this.call.ended) return this.call;
    this.know([person]);
    return this.#take(this.calls.invite(person.id, { video }));
  }

  #follow() {
    const userId = session.user?.id ?? "";
    if (userId === this.#userId) return;
    this.#userId = userId;
    this.connection?.close();
    this.people.clear();
    this.unreadOf.clear();
    this.connection = this.chat = this.calls = this.call = null;
    if (userId) this.#connect();
    this.#tell("state");
    this.#tell("unread");
    this.#tell("call");
  }

  #connect() {
    const connection = new Connection({ getToken: (wish) => session.token(wish) });
    this.connection = connection;
    this.chat = new Chat(connection);
    this.calls = new Calls(connection, { getMedia });
    const mine = (target, name, work) =>
      target.addEventListener(name, ({ detail }) => this.connection === connection && work(detail));
    mine(connection, "state", ({ state, code }) => {
      this.#tell("state");
      if (state === "closed" && REFUSALS.includes(code)) this.#askWhoIAm(connection);
    });
    mine(connection, "open", ({ recovered }) => this.#opened(recovered));
    for (const topic of TOPICS) mine(connection, topic, ({ data }) => this.#happened(topic, data));
    mine(this.chat, "conversations", ({ conversations }) => this.#counted(conversations));
    mine(this.chat, "message", ({ userId, message }) => this.#arrived(userId, message));
    mine(this.chat, "receipt", ({ userId }) => this.#readElsewhere(userId));
    mine(this.chat, "presence", (detail) => this.#tell("presence", detail));
    mine(this.calls, "incoming", ({ call }) => this.#rings(call));
    connection.connect();
  }

  /** The session has ended, or the account is another now: whoever is still signed in connects anew. */
  async #askWhoIAm(connection) {
    await pause(REFUSED_MS);
    await session.reload().catch(({ status }) => [401, 403].includes(status) && session.forget());
    if (this.connection === connection && session.user) connection.connect();
  }

  #opened(recovered) {
    if (recovered) return;
    this.#watchFriends();
    this.#tell("missed");
  }

  #happened(topic, data) {
    this.#tell(topic, data);
    if (topic === "friend.accepted" || topic === "friend.removed") this.#watchFriends();
  }

  /** Watch the friends, the latest first, as many as may be watched. */
  async #watchFriends() {
    const chat = this.chat;
    const friends = [];
    try {
      for await (const page of api.list("/friends", { query: { pageSize: 100 } })) {
        friends.push(...page.friends.map(({ person }) => person));
        if (friends.length >= MAX_WATCHED) break;
      }
      if (chat !== this.chat) return;
      this.know(friends);
      await chat.watch(friends.slice(0, MAX_WATCHED).map(({ id }) => id));
      this.#tell("people");
    } catch {
      // The next connection tries again; until then nobody's presence is shown.
    }
  }

  #counted(conversations) {
    this.know(conversations.map(({ peer }) => peer));
    this.unreadOf = new Map(
      conversations.filter((item) => Number(item.unreadCount)).map((item) => [item.peer.id, Number(item.unreadCount)]),
    );
    this.#tell("people");
    this.#tell("conversations", conversations);
    this.#tell("unread");
  }

  #arrived(userId, message) {
    if (message.senderId === userId && message.seq > this.chat.conversation(userId).readSeq) {
      this.unreadOf.set(userId, (this.unreadOf.get(userId) ?? 0) + 1);
    }
    this.#tell("message", { userId, message });
    this.#tell("unread");
  }

  #readElsewhere(userId) {
    const talk = this.chat.conversation(userId);
    if (talk.lastSeq && talk.readSeq >= talk.lastSeq && this.unreadOf.delete(userId)) this.#tell("unread");
  }

  #rings(call) {
    this.know([call.peer]);
    if (!this.call || this.call.ended) this.#take(call);
  }

  #take(call) {
    this.call = call;
    this.callSince = 0;
    this.callFlows = false;
    call.addEventListener("media", ({ detail }) => {
      this.callFlows = detail.flowing;
      this.callSince ||= Date.now();
    });
    call.addEventListener("fault", ({ detail }) => console.info("The call goes on after:", detail.error));
    for (const name of ["state", "track", "media"]) call.addEventListener(name, () => this.#tell("call"));
    this.#tell("call");
    return call;
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** Microphone and camera; where there is no camera, the voice alone. Rejects when there is no microphone. */
async function getMedia({ video }) {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: true, video });
  } catch (error) {
    if (!video) throw error;
    return navigator.mediaDevices.getUserMedia({ audio: true });
  }
}

/** The one of this page. */
export const live = new Live();

/**
 * Do something whenever one of these things happens, or may have happened unseen, for as long as a view is shown.
 * @param {string[]} names of events of `live`
 * @param {AbortSignal} signal the view's
 * @param {(detail: any) => void} work
 */
export function whenever(names, signal, work) {
  for (const name of names) live.addEventListener(name, ({ detail }) => work(detail), { signal });
}
