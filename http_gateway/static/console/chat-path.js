/**
 * Where to write to somebody.
 * @module
 */

/** Also to who is no friend: a teacher, a student. @param {{id: string, displayName: string}} person */
export const chatPath = ({ id, displayName }) => `/chat/${id}?name=${encodeURIComponent(displayName)}`;
