/**
 * The REST interface: JSON in and out, failures as ApiError, and patience where a second try is safe.
 *
 *     const course = await api.get(`/courses/${courseId}`, { signal });
 *     for await (const page of api.list("/courses", { query: { tag } })) show(page.courses);
 * @module
 */

import { pause } from "./dom.js";

const MAX_WAIT_SECONDS = 5; // for a second try; whoever must wait longer is told so
const TIMEOUT_MS = 30_000;

/** A refused or failed call, as RFC 9457's problem tells it. `status` 0: no answer came. */
export class ApiError extends Error {
  /** @param {number} status @param {any} problem @param {{retryAfterSeconds?: number, requestId?: string}} [more] */
  constructor(status, problem, { retryAfterSeconds = 0, requestId = "" } = {}) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.name = "ApiError";
    this.status = status;
    /** gRPC's name of the code, such as NOT_FOUND. @type {string} */
    this.code = problem.code ?? "";
    /** The contract's ErrorReason. @type {string} */
    this.reason = problem.reason ?? "";
    /** @type {string} */
    this.detail = problem.detail ?? "";
    /** @type {{field: string, rule: string, description: string}[]} */
    this.violations = problem.violations ?? [];
    this.retryAfterSeconds = retryAfterSeconds;
    this.requestId = requestId || problem.instance || "";
  }

  /** Whether the same call may succeed later. */
  get temporary() {
    return this.status === 0 || [429, 502, 503, 504].includes(this.status);
  }
}

/**
 * Where tokens come from; the session sets it.
 * @typedef {{token: (wish?: {fresh?: boolean}) => Promise<string>, refused: () => void}} TokenSource
 */

/** @type {TokenSource} */
let tokens = { token: async () => "", refused: () => {} };

/** @param {TokenSource} source */
export function useTokens(source) {
  tokens = source;
}

let clockOffsetMs = 0;

/** What the server's clock says, in Unix milliseconds: its time counts for deadlines, whatever this machine's says. */
export const serverNow = () => Date.now() + clockOffsetMs;

/** Learn from an answer's Date, which has whole seconds. */
function readClock(response, sent) {
  const date = Date.parse(response.headers.get("Date") ?? "");
  const offset = date + 500 - (sent + Date.now()) / 2;
  if (Math.abs(offset - clockOffsetMs) > 1000) clockOffsetMs = offset;
}

/**
 * @typedef {object} CallOptions
 * @property {Record<string, any>} [query] null and "" are left out; lists repeat their name
 * @property {string} [ifMatch] an etag: the write is refused (412) when the thing has changed since
 * @property {string} [idempotencyKey] of a create that may be sent again; a new one unless given
 * @property {AbortSignal} [signal]
 * @property {string} [token] another token than the session's
 */

export const api = {
  /** @param {string} path @param {CallOptions} [options] @returns {Promise<any>} */
  get: (path, options) => json("GET", path, undefined, options),
  /** @param {string} path @param {any} [body] @param {CallOptions} [options] @returns {Promise<any>} */
  post: (path, body = {}, options) => json("POST", path, body, { idempotencyKey: crypto.randomUUID(), ...options }),
  /** @param {string} path @param {any} [body] @param {CallOptions} [options] @returns {Promise<any>} */
  put: (path, body = {}, options) => json("PUT", path, body, options),
  /** @param {string} path @param {any} [body] @param {CallOptions} [options] @returns {Promise<any>} */
  patch: (path, body = {}, options) => json("PATCH", path, body, options),
  /** @param {string} path @param {any} [body] @param {CallOptions} [options] @returns {Promise<any>} */
  del: (path, body, options) => json("DELETE", path, body, options),
  list,
  events,
  download,
  upload,
};

/**
 * The pages of a list, one after the other, as far as they are asked for.
 * @param {string} path
 * @param {CallOptions} [options]
 * @returns {AsyncGenerator<any, void, undefined>}
 */
async function* list(path, options = {}) {
  let pageToken = "";
  do {
    const page = await api.get(path, { ...options, query: { ...options.query, pageToken } });
    yield page;
    pageToken = page.nextPageToken;
  } while (pageToken);
}

/**
 * The messages of a server-streaming method (server-sent events). Throws ApiError when the stream breaks off.
 * @param {string} path
 * @param {any} body
 * @param {CallOptions} [options]
 * @returns {AsyncGenerator<any, void, undefined>}
 */
async function* events(path, body, options = {}) {
  const response = await send("POST", path, body, { ...options, accept: "text/event-stream", timeoutMs: 120_000 });
  const reader = /** @type {ReadableStream} */ (response.body).pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new ApiError(0, { detail: "The answer broke off." });
      const blocks = (text + value).split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = parsed(block);
        if (event.name === "end") return;
        if (event.name === "error") throw new ApiError(event.data.status ?? 0, event.data);
        yield event.data;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** One server-sent event. @param {string} block */
function parsed(block) {
  const lines = block.split("\n").map((line) => line.match(/^(\w+): ?(.*)$/) ?? []);
  const all = (name) => lines.filter((line) => line[1] === name).map((line) => line[2]);
  return { name: all("event")[0] ?? "message", data: JSON.parse(all("data").join("\n") || "{}") };
}

/**
 * Save what a path answers as a file of the person's.
 * @param {string} path
 * @param {string} fileName
 * @param {CallOptions & {accept?: string}} [options]
 */
async function download(path, fileName, options = {}) {
  const response = await send("GET", path, undefined, { accept: "*/*", timeoutMs: 120_000, ...options });
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  Object.assign(link, { href: url, download: fileName });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/**
 * Send a file as it is.
 * @param {string} path
 * @param {Blob} file
 * @param {CallOptions} [options]
 * @returns {Promise<any>}
 */
async function upload(path, file, options) {
  return read(await send("POST", path, file, options));
}

async function json(verb, path, body, options) {
  return read(await send(verb, path, body, options));
}

const read = async (response) => (response.status === 204 ? null : await response.json());

/**
 * Send, and send again where that is safe: GETs, and creates with their Idempotency-Key.
 * @param {string} verb @param {string} path @param {any} body @param {any} [options]
 * @returns {Promise<Response>}
 */
async function send(verb, path, body, options = {}) {
  const repeats = verb === "GET" || verb === "PUT" || Boolean(options.idempotencyKey);
  try {
    return await sendSignedIn(verb, path, body, options);
  } catch (error) {
    const again = error instanceof ApiError && (error.status === 0 || error.status === 503) && repeats;
    if (!again || error.retryAfterSeconds > MAX_WAIT_SECONDS) throw error;
    await pause(1000 * (error.retryAfterSeconds || 0.5 + Math.random() / 2), options.signal);
    return sendSignedIn(verb, path, body, options);
  }
}

async function sendSignedIn(verb, path, body, options) {
  const token = options.token ?? (await tokens.token());
  try {
    return await sendOnce(verb, path, body, token, options);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401 || !token || options.token) throw error;
    const fresh = await tokens.token({ fresh: true });
    if (fresh && fresh !== token) return sendOnce(verb, path, body, fresh, options);
    tokens.refused();
    throw error;
  }
}

async function sendOnce(verb, path, body, token, { query, ifMatch, idempotencyKey, signal, accept, timeoutMs = TIMEOUT_MS }) {
  const headers = { Accept: accept ?? "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (ifMatch) headers["If-Match"] = `"${ifMatch}"`;
  if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
  if (body !== undefined) headers["Content-Type"] = body instanceof Blob ? body.type : "application/json";
  const content = body === undefined || body instanceof Blob ? body : JSON.stringify(body);
  const signals = [AbortSignal.timeout(timeoutMs), ...(signal ? [signal] : [])];
  const sent = Date.now();
  let response;
  try {
    response = await fetch(path + queryString(query), {
      method: verb,
      headers,
      body: content,
      signal: AbortSignal.any(signals),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, { detail: navigator.onLine ? "The server gives no answer." : "You are offline." });
  }
  readClock(response, sent);
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  const retryAfterSeconds = Number(response.headers.get("Retry-After")) || 0;
  throw new ApiError(response.status, problem, { retryAfterSeconds, requestId: response.headers.get("X-Request-Id") ?? "" });
}

/** @param {Record<string, any>} [query] */
export function queryString(query = {}) {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== null && item !== undefined && item !== "") pairs.append(name, String(item));
    }
  }
  return pairs.size ? `?${pairs}` : "";
}
