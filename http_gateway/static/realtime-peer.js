/**
 * The media of one call: perfect negotiation, candidates in batches, ICE restarts.
 *
 * Source: WebRTC 1.0, 10.7 (perfect negotiation); RFC 8838 (trickle ICE); RFC 8445 (ICE).
 * @module
 */

/** @typedef {import("./realtime-protocol.js").Clock} Clock */

/**
 * @typedef {object} LinkOptions
 * @property {boolean} polite gives way when both sides offer at once; the other side offers first
 * @property {boolean} video whether to ask for video when there is no local stream
 * @property {MediaStream | null} stream what to send
 * @property {() => Promise<{iceServers: object[], expireTime: string}>} iceServers
 * @property {() => number} serverNow the service's time in milliseconds since 1970
 * @property {RTCConfiguration} configuration
 * @property {typeof RTCPeerConnection} RTCPeerConnection
 * @property {Clock} clock
 * @property {(signal: object) => Promise<void>} send to the other device; rejects when the call is over
 * @property {(track: MediaStreamTrack) => void} onTrack
 * @property {(connected: boolean) => void} onConnected media flow, or stopped
 * @property {() => void} onGivenUp media do not come back
 * @property {(error: unknown) => void} onFault
 */

const BATCH_MS = 50;
const BATCH = 40;
const DISCONNECTED_MS = 2_500;
// The polite side waits for longer, so that both seldom restart at once.
const POLITE_MS = 1_500;
const AGAIN_MS = 8_000;
const GIVE_UP_MS = 60_000;

/** One RTCPeerConnection and its signaling. */
export class PeerLink {
  /** @type {RTCPeerConnection | null} */
  pc = null;
  #options;
  #inbox;
  #outbox = /** @type {object[]} */ ([]);
  #sending = false;
  #makingOffer = false;
  #ignoring = false;
  #added = false;
  #closed = false;
  #expires = Infinity;
  #lostAt = 0;
  #timers = { batch: null, restart: null };

  /** @param {LinkOptions} options */
  constructor(options) {
    this.#options = options;
    this.#inbox = this.#start().catch((error) => options.onFault(error));
  }

  /** Whether media flow. */
  get connected() {
    return this.pc?.connectionState === "connected";
  }

  /**
   * A signal of the other side came; they are taken one after another.
   * @param {any} signal
   */
  take(signal) {
    this.#inbox = this.#inbox.then(() => this.#handle(signal)).catch((error) => this.#closed || this.#options.onFault(error));
  }

  /**
   * Look for a new way between the two (ICE restart); an offer that is still unanswered is sent once more instead.
   */
  async restart() {
    if (this.#closed || !this.pc) return;
    if (this.pc.signalingState === "have-local-offer") {
      this.#queue({ description: this.pc.localDescription });
      return;
    }
    if (this.#expires - this.#options.serverNow() < 60_000) {
      await this.#configure().catch((error) => this.#options.onFault(error));
    }
    if (!this.#closed) this.pc.restartIce();
  }

  /** Frames may have been lost, or the network is another one: go on only from what is sure. */
  revive() {
    if (!this.#closed && this.pc && !this.connected) this.#watch(0);
  }

  /** Stop. */
  close() {
    this.#closed = true;
    this.#later("batch", null, 0);
    this.#later("restart", null, 0);
    this.pc?.close();
  }

  async #start() {
    const { iceServers } = await this.#servers();
    if (this.#closed) return;
    const pc = new this.#options.RTCPeerConnection({ ...this.#options.configuration, iceServers });
    this.pc = pc;
    pc.onnegotiationneeded = () => this.#offer();
    pc.onicecandidate = ({ candidate }) => this.#gathered(candidate);
    pc.ontrack = ({ track }) => this.#options.onTrack(track);
    pc.onconnectionstatechange = () => this.#moved(pc.connectionState);
    this.#watch(AGAIN_MS);
    if (!this.#options.polite) this.#addTracks();
  }

  async #servers() {
    const answer = await this.#options.iceServers();
    this.#expires = Date.parse(answer.expireTime);
    return { iceServers: answer.iceServers.map((server) => (server.username ? server : { urls: server.urls })) };
  }

  async #configure() {
    const { iceServers } = await this.#servers();
    if (!this.#closed) this.pc.setConfiguration({ ...this.#options.configuration, iceServers });
  }

  /** The polite side adds its tracks to the first offer's places. */
  #addTracks() {
    if (this.#added) return;
    this.#added = true;
    const stream = this.#options.stream;
    stream?.getTracks().forEach((track) => this.pc.addTrack(track, stream));
    if (stream?.getTracks().length || this.#options.polite) return;
    this.pc.addTransceiver("audio", { direction: "recvonly" });
    if (this.#options.video) this.pc.addTransceiver("video", { direction: "recvonly" });
  }

  async #offer() {
    try {
      this.#makingOffer = true;
      await this.pc.setLocalDescription();
      this.#queue({ description: this.pc.localDescription });
    } catch (error) {
      if (!this.#closed) this.#options.onFault(error);
    } finally {
      this.#makingOffer = false;
    }
  }

  async #handle({ description, candidates = [], endOfCandidates }) {
    if (this.#closed || !this.pc) return;
    if (description && !(await this.#describe(description))) return;
    for (const candidate of candidates) await this.#add(candidate);
    if (endOfCandidates) await this.#add();
  }

  /** Take a description; false for one that is passed over. */
  async #describe(description) {
    const pc = this.pc;
    const offer = description.type === "offer";
    this.#ignoring = offer && !this.#options.polite && (this.#makingOffer || pc.signalingState !== "stable");
    if (this.#ignoring) return false;
    // An answer to an offer that was sent twice comes twice.
    if (!offer && pc.signalingState !== "have-local-offer") return false;
    await pc.setRemoteDescription(description); // rolls an own offer back
    if (offer) {
      this.#addTracks();
      await pc.setLocalDescription();
      this.#queue({ description: pc.localDescription });
    }
    return true;
  }

  async #add(candidate) {
    try {
      await this.pc.addIceCandidate(candidate);
    } catch (error) {
      if (!this.#ignoring) throw error;
    }
  }

  #gathered(candidate) {
    if (candidate === null) this.#queue({ endOfCandidates: true });
    else if (candidate.candidate) this.#queue({ candidate: withoutNulls(candidate.toJSON()) });
  }

  /** Send something to the other side, after what is before it. Candidates wait briefly for more of them. */
  #queue(item) {
    if (this.#closed) return;
    this.#outbox.push(item);
    if (item.description) this.#flush();
    else if (!this.#timers.batch) this.#later("batch", () => this.#flush(), BATCH_MS);
  }

  async #flush() {
    this.#later("batch", null, 0);
    if (this.#sending) return;
    this.#sending = true;
    try {
      while (this.#outbox.length && !this.#closed) await this.#options.send(nextSignal(this.#outbox));
    } catch (error) {
      if (!this.#closed) this.#options.onFault(error);
    } finally {
      this.#sending = false;
    }
  }

  #moved(state) {
    const options = this.#options;
    if (state === "connected") {
      this.#lostAt = 0;
      this.#later("restart", null, 0);
      options.onConnected(true);
    } else if (state === "disconnected" || state === "failed") {
      options.onConnected(false);
      this.#watch(state === "failed" ? 0 : DISCONNECTED_MS);
    }
  }

  /** Restart after a while, and again and again, until media flow or it is given up. */
  #watch(ms) {
    const { clock, polite } = this.#options;
    this.#lostAt ||= clock.now();
    this.#later("restart", () => {
      if (this.connected || this.#closed) return;
      if (clock.now() - this.#lostAt > GIVE_UP_MS) {
        this.#options.onGivenUp();
        return;
      }
      this.restart();
      this.#watch(AGAIN_MS);
    }, ms + (polite ? POLITE_MS : 0));
  }

  #later(kind, work, ms) {
    const clock = this.#options.clock;
    clock.clearTimeout(this.#timers[kind]);
    this.#timers[kind] = work && clock.setTimeout(work, ms);
  }
}

/** Take the next signal off the outbox: a description, if it is next, and the candidates behind it. */
export function nextSignal(outbox) {
  /** @type {{description?: object, candidates: object[], endOfCandidates?: boolean}} */
  const signal = { candidates: [] };
  if (outbox[0].description) {
    const { type, sdp } = outbox.shift().description;
    signal.description = { type, sdp };
  }
  while (outbox.length && !outbox[0].description && signal.candidates.length < BATCH) {
    const { candidate, endOfCandidates } = outbox.shift();
    if (candidate) signal.candidates.push(candidate);
    if (endOfCandidates) signal.endOfCandidates = true;
  }
  return signal;
}

const withoutNulls = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
