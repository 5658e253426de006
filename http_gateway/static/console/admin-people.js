/**
 * Everybody with an account: search, role, status.
 * @module
 */

import { api } from "./api.js";
import { h, replace } from "./dom.js";
import { date, label } from "./format.js";
import { roleName } from "./frame.js";
import { filtered } from "./filters.js";
import { badge, field, heading, more, table } from "./parts.js";
import { face } from "./people.js";
import { personLink } from "./view-admin.js";

export const ROLE_OPTIONS = [
  ["ROLE_STUDENT", "Student"],
  ["ROLE_INSTRUCTOR", "Instructor"],
  ["ROLE_PARENT", "Parent"],
  ["ROLE_ADMIN", "Administrator"],
];
const STATUS_OPTIONS = [
  ["USER_STATUS_ACTIVE", "Active"],
  ["USER_STATUS_SUSPENDED", "Suspended"],
  ["USER_STATUS_DELETED", "Deleted"],
];
const KINDS = { USER_STATUS_ACTIVE: "good", USER_STATUS_SUSPENDED: "bad" };

/** @param {string} status */
export const userStatus = (status) => badge(label(status, "USER_STATUS"), KINDS[status] ?? "");

/** @param {import("./router.js").Place} place */
export function show({ query, signal }) {
  const fields = [
    field({
      label: "Name or e-mail",
      name: "query",
      type: "search",
      value: query.get("query"),
      maxlength: 100,
      optional: false,
      placeholder: "How it begins",
    }),
    field({
      label: "Role",
      name: "role",
      type: "select",
      options: [["", "All"], ...ROLE_OPTIONS],
      value: query.get("role") ?? "",
      optional: false,
    }),
    field({
      label: "Status",
      name: "status",
      type: "select",
      options: [["", "All"], ...STATUS_OPTIONS],
      value: query.get("status") ?? "",
      optional: false,
    }),
  ];
  return h(
    "div",
    null,
    heading("People", { lead: "Find somebody, change a role, suspend an account." }),
    filtered({ path: "/admin/people", label: "People", fields, load, signal }),
  );
}

async function load(values, signal) {
  const pages = api.list("/users", { query: { ...values, pageSize: 30 }, signal });
  const { value: first } = await pages.next();
  const rows = [...first.users];
  const place = h("div", null);
  const fill = () => replace(place, table({ caption: "People", columns: COLUMNS, rows, empty: "Nobody matches." }));
  fill();
  return h(
    "div",
    null,
    place,
    first.nextPageToken &&
      more(async () => {
        const { value } = await pages.next();
        rows.push(...(value?.users ?? []));
        fill();
        return Boolean(value?.nextPageToken);
      }),
  );
}

const COLUMNS = [
  {
    text: "Name",
    value: (user) =>
      h(
        "div",
        { class: "cell-person" },
        face(user),
        h("div", { class: "cell-name" }, personLink(user.id, user.displayName), h("span", { class: "hint" }, user.email)),
      ),
  },
  { text: "Role", value: (user) => roleName(user.role) },
  { text: "Status", value: (user) => userStatus(user.status) },
  { text: "Since", value: (user) => h("span", { class: "nowrap" }, date(user.createTime)) },
];
