/**
 * What everybody sees who is signed in: themselves, and other people.
 * @module
 */

import { views as account } from "./view-account.js";
import { views as attempt } from "./view-attempt.js";
import { views as call } from "./view-call.js";
import { views as chat } from "./view-chat.js";
import { views as friends } from "./view-friends.js";

export { startLive } from "./notices.js";

/** @type {import("./router.js").View[]} */
export const views = [...account, ...attempt, ...call, ...chat, ...friends];
