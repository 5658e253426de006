/**
 * Who changed what: the audit log, newest first.
 * @module
 */

import { api } from "./api.js";
import { h } from "./dom.js";
import { dateTime } from "./format.js";
import { filtered } from "./filters.js";
import { empty, field, heading, pager } from "./parts.js";
import { personLink } from "./view-admin.js";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TARGETS = [
  "user",
  "course",
  "module",
  "lecture",
  "quiz",
  "payment",
  "coupon",
  "enrollment",
  "certificate",
  "family_link",
  "session",
];

/** @param {import("./router.js").Place} place */
export function show({ query, signal }) {
  const value = (name) => query.get(name) ?? "";
  const fields = [
    field({
      label: "Action",
      name: "action",
      type: "search",
      value: value("action"),
      maxlength: 64,
      optional: false,
      placeholder: "course.publish",
    }),
    field({
      label: "Of",
      name: "targetType",
      type: "select",
      options: [["", "Everything"], ...TARGETS],
      value: value("targetType"),
      optional: false,
    }),
    field({
      label: "By or about (id)",
      name: "id",
      type: "search",
      value: value("id"),
      maxlength: 64,
      optional: false,
      placeholder: "of an account",
    }),
    field({ label: "From", name: "from", type: "date", value: value("from"), optional: false }),
    field({ label: "Until", name: "until", type: "date", value: value("until"), optional: false }),
  ];
  return h(
    "div",
    null,
    heading("Audit log", { lead: "Every change by teachers and administrators. Nobody can alter it." }),
    filtered({
      path: "/admin/audit",
      label: "Audit log",
      fields,
      load: (values, running) => auditList(queryOf(values), running),
      signal,
    }),
  );
}

function queryOf({ action, targetType, id, from, until }) {
  const about = UUID.test(id.trim())
    ? targetType && targetType !== "user"
      ? { targetId: id.trim() }
      : { actorId: id.trim(), targetType: "" }
    : {};
  return {
    action: action.trim(),
    targetType,
    ...about,
    startTime: from && new Date(`${from}T00:00:00`).toISOString(),
    endTime: until && new Date(new Date(`${until}T00:00:00`).getTime() + 86_400_000).toISOString(),
  };
}

/** The events that match. @param {Record<string, any>} query @param {AbortSignal} signal */
export async function auditList(query, signal) {
  const pages = api.list("/admin/audit-events", { query: { ...query, pageSize: 40 }, signal });
  return pager({
    pages,
    into: h("ol", { class: "card audit" }),
    render: ({ events }) => events.map(line),
    empty: empty("No event matches.", null, { icon: "list" }),
  });
}

function line({ actor, action, targetType, targetId, before, after, requestId, createTime }) {
  const rows = changes(before, after);
  const who = actor?.id ? personLink(actor.id, actor.displayName) : h("span", { class: "meta" }, "The system");
  const head = [
    h("time", { class: "meta", datetime: createTime }, dateTime(createTime)),
    h("span", { class: "audit-who" }, who),
    h("code", { class: "audit-action" }, action),
    h("span", { class: "meta audit-target", title: targetId }, `${targetType} ${targetId.slice(0, 8)}`),
  ];
  return h(
    "li",
    { class: "audit-line" },
    head,
    h(
      "details",
      null,
      h("summary", null, rows.length ? `${rows.length} changed` : "Details"),
      rows.length > 0 &&
        h(
          "table",
          { class: "audit-changes" },
          h(
            "thead",
            null,
            h(
              "tr",
              null,
              ["Field", "Before", "After"].map((text) => h("th", { scope: "col" }, text)),
            ),
          ),
          h("tbody", null, rows),
        ),
      h("p", { class: "fine" }, "Target ", h("code", null, targetId), " · Request ", h("code", null, requestId)),
    ),
  );
}

function changes(before, after) {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  return names.map((name) =>
    h("tr", null, h("th", { scope: "row" }, name), h("td", null, shown(before?.[name])), h("td", null, shown(after?.[name]))),
  );
}

const shown = (value) =>
  value === undefined || value === null ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value);
