/**
 * What students see beside what everybody does.
 * @module
 */

import { views as certificates } from "./view-certificates.js";
import { views as learning } from "./view-learning.js";
import { views as payments } from "./view-payments.js";
import { views as quiz } from "./view-quiz.js";

/** @type {import("./router.js").View[]} */
export const views = [...certificates, ...learning, ...payments, ...quiz];
