/**
 * What administrators see beside what everybody does.
 * @module
 */

import { views as admin } from "./view-admin.js";
import { views as authoring } from "./view-authoring.js";
import { views as gradebook } from "./view-gradebook.js";
import { views as teach } from "./view-teach.js";

/** @type {import("./router.js").View[]} */
export const views = [...admin, ...authoring, ...gradebook, ...teach];
