/**
 * SkillForge realtime in the browser: events, chat, presence and calls. No dependency, no build step.
 *
 *     import { Connection, Chat, Calls } from "/static/skillforge-realtime.js";
 *
 * The protocol, and how to use this, stand in docs/realtime.md.
 * @module
 */

export { Call, Calls } from "./realtime-calls.js";
export { Chat, Conversation } from "./realtime-chat.js";
export { Connection } from "./realtime-connection.js";
export { CLOSE_CODES, RealtimeError, backoffMs, reconnects } from "./realtime-protocol.js";
