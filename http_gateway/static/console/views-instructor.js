/**
 * What instructors see beside what everybody does.
 * @module
 */

import { views as authoring } from "./view-authoring.js";
import { views as gradebook } from "./view-gradebook.js";
import { views as teach } from "./view-teach.js";

/** @type {import("./router.js").View[]} */
export const views = [...authoring, ...gradebook, ...teach];
