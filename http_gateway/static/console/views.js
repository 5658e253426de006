/**
 * Every view of the console. Each file of views exports `views`. What only some people see is fetched when they sign in.
 * @module
 */

import { views as catalogue } from "./view-catalogue.js";
import { views as course } from "./view-course.js";
import { views as learn } from "./view-learn.js";
import { views as verify } from "./view-verify.js";
import { views as welcome } from "./view-welcome.js";

/** @typedef {import("./router.js").View} View */

const everyone = [...welcome, ...catalogue, ...course, ...learn, ...verify];
const GROUPS = {
  ROLE_STUDENT: () => import("./views-student.js"),
  ROLE_INSTRUCTOR: () => import("./views-instructor.js"),
  ROLE_PARENT: () => import("./views-parent.js"),
  ROLE_ADMIN: () => import("./views-admin.js"),
};
/** @type {Map<string, Promise<View[]>>} */
const known = new Map();

/**
 * The views of a role; "" for whoever is not signed in. Rejects when they cannot be fetched now.
 * @param {string} role
 * @returns {Promise<View[]>}
 */
export function viewsOf(role) {
  if (!known.has(role)) {
    const fetched = fetchViews(role);
    known.set(role, fetched);
    fetched.catch(() => known.delete(role));
  }
  return /** @type {Promise<View[]>} */ (known.get(role));
}

async function fetchViews(role) {
  const group = GROUPS[role];
  if (!group) return everyone;
  const [own, people] = await Promise.all([group(), import("./views-people.js")]);
  people.startLive();
  return [...everyone, ...people.views, ...own.views];
}
