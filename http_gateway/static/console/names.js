/**
 * Names of what the contract gives by id alone, each asked for once a page's life.
 * @module
 */

import { api } from "./api.js";

/** @type {Map<string, Promise<string>>} */
const known = new Map();

function once(path, read) {
  if (!known.has(path))
    known.set(
      path,
      api.get(path).then(read, () => (known.delete(path), "")),
    );
  return /** @type {Promise<string>} */ (known.get(path));
}

/** A course's title; "A course" where it may not be seen. @param {string} courseId */
export const courseTitle = async (courseId) => (await once(`/courses/${courseId}`, ({ title }) => title)) || "A course";

/** A person's name, for administrators. @param {string} userId */
export const userName = async (userId) => (await once(`/users/${userId}`, ({ displayName }) => displayName)) || "Somebody";
