/**
 * Who is signed in on this tab. Clerk does sign-ins in production; the development issuer stands in for it where it is on.
 * Kept in sessionStorage, so that a reload goes on and two tabs can be two people.
 * @module
 */

import { api, useTokens } from "./api.js";

const KEY = "skillforge.session";
const SPARE_MS = 30_000; // a token is renewed so long before it expires

/**
 * @typedef {{id: string, email: string, displayName: string, imageUrl: string, role: string, status: string}} User
 * @typedef {{email: string, displayName: string, role: string, about?: string}} Persona `role` without its "ROLE_"
 * @typedef {{token: string, expires: number, persona: Persona | null, user: User | null}} Kept `expires`: Unix milliseconds
 */

/** The four kinds of people, as `roles` of a view. */
export const ROLES = Object.freeze(["ROLE_STUDENT", "ROLE_INSTRUCTOR", "ROLE_PARENT", "ROLE_ADMIN"]);

/** Dispatches `change` when somebody signs in or out, and when their account is read anew. */
class Session extends EventTarget {
  /** @type {Kept | null} */
  #kept = null;
  #renewing = /** @type {Promise<string> | null} */ (null);

  constructor() {
    super();
    try {
      this.#kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    } catch {
      sessionStorage.removeItem(KEY);
    }
  }

  /** Who is signed in; null: nobody. @type {User | null} */
  get user() {
    return this.#kept?.user ?? null;
  }

  /** Whether the person has one of the roles ("ROLE_STUDENT"). @param {...string} roles */
  is(...roles) {
    return this.user !== null && roles.includes(this.user.role);
  }

  /**
   * The token to send; "" when nobody is signed in, or a new one cannot be had.
   * @param {{fresh?: boolean}} [wish] `fresh`: not the one that is kept
   * @returns {Promise<string>}
   */
  async token({ fresh = false } = {}) {
    const kept = this.#kept;
    if (!kept) return "";
    if (!fresh && kept.expires - Date.now() > SPARE_MS) return kept.token;
    if (!kept.persona) return fresh ? "" : kept.token;
    this.#renewing ??= this.#renew(kept.persona).finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  /** Sign in as somebody of the development issuer's. @param {Persona} persona */
  async signInAs(persona) {
    await this.#enter(await issue(persona), persona);
  }

  /**
   * Sign in with a session token that was made elsewhere.
   * @param {string} token
   * @param {string} [requestedRole] of a first login
   */
  async signInWithToken(token, requestedRole = "") {
    await this.#enter({ token: token.trim(), expires: expiryOf(token.trim()) }, null, requestedRole);
  }

  /** Read the account anew. */
  async reload() {
    const user = await api.get("/auth/me");
    if (this.#kept) this.#keep({ ...this.#kept, user });
  }

  /** Sign out: the session ends everywhere. Without a connection it ends here. */
  async signOut() {
    await api.post("/auth/sign-out").catch(() => {});
    this.forget();
  }

  /** Nobody is signed in here any more; nothing is told to the server. */
  forget() {
    this.#keep(null);
  }

  async #enter({ token, expires }, persona, requestedRole = "") {
    const user = await api.post("/auth/sync-user", requestedRole ? { requestedRole } : {}, { token });
    this.#keep({ token, expires, persona, user });
  }

  async #renew(persona) {
    const issued = await issue(persona).catch(() => null);
    if (!issued) return "";
    if (this.#kept) this.#store({ ...this.#kept, ...issued });
    return issued.token;
  }

  #keep(kept) {
    this.#store(kept);
    this.dispatchEvent(new Event("change"));
  }

  #store(kept) {
    this.#kept = kept;
    if (kept) sessionStorage.setItem(KEY, JSON.stringify(kept));
    else sessionStorage.removeItem(KEY);
  }
}

/** The one session of this tab. */
export const session = new Session();
useTokens({ token: (wish) => session.token(wish), refused: () => session.forget() });

/** Whether this service has a development issuer; the page says so. */
export const hasDevelopmentIssuer = () => document.querySelector('meta[name="development-issuer"]') !== null;

/** The people whom the development issuer suggests. @returns {Promise<Persona[]>} */
export async function personas() {
  return hasDevelopmentIssuer() ? (await api.get("/dev/personas", { token: "" })).personas : [];
}

async function issue({ email, displayName, role }) {
  const { token, expiresInSeconds } = await api.post("/dev/sign-in", { email, displayName, role }, { token: "" });
  return { token, expires: Date.now() + 1000 * expiresInSeconds };
}

/** When a JSON Web Token says that it ends; unreadable ones are the server's to refuse. @param {string} token */
function expiryOf(token) {
  try {
    const { exp } = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    return Number.isFinite(exp) ? 1000 * exp : Infinity;
  } catch {
    return Infinity;
  }
}
