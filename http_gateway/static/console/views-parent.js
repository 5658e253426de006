/**
 * What parents see beside what everybody does.
 * @module
 */

import { views as family } from "./view-family.js";

/** @type {import("./router.js").View[]} */
export const views = [...family];
