/**
 * One account: its role, its status, its payments, and what it did.
 * @module
 */

import { api } from "./api.js";
import { ROLE_OPTIONS, userStatus } from "./admin-people.js";
import { auditList } from "./admin-audit.js";
import { paymentTable } from "./admin-payments.js";
import { h } from "./dom.js";
import { dateTime } from "./format.js";
import { roleName } from "./frame.js";
import { button, card, confirm, facts, field, form, heading, icon, tabs, toast } from "./parts.js";
import { face } from "./people.js";
import { link } from "./router.js";
import { session } from "./session.js";
import { chatPath } from "./chat-path.js";

/** @param {import("./router.js").Place} place */
export async function show({ params: { userId }, signal, refresh }) {
  const user = await api.get(`/users/${userId}`, { signal });
  const tabsOf = [
    { id: "did", text: "What they did", show: () => auditList({ actorId: userId }, signal) },
    { id: "done", text: "What was done to them", show: () => auditList({ targetType: "user", targetId: userId }, signal) },
    user.role === "ROLE_STUDENT" && {
      id: "payments",
      text: "Payments",
      show: () => paymentTable({ studentId: userId }, signal, refresh),
    },
  ].filter(Boolean);
  return h(
    "div",
    null,
    heading(user.displayName, {
      back: link("/admin/people", "People"),
      eyebrow: userStatus(user.status),
      actions:
        user.id !== session.user.id &&
        link(chatPath(user), [icon("chat"), h("span", null, "Message")], { class: "button quiet" }),
    }),
    h(
      "div",
      { class: "pair" },
      card(
        {},
        h(
          "div",
          { class: "cell-person" },
          face(user, "large"),
          h("div", null, h("strong", null, user.email), h("p", { class: "meta" }, roleName(user.role))),
        ),
        facts([
          ["Account", h("code", null, user.id)],
          ["At Clerk", h("code", null, user.clerkId)],
          ["Since", dateTime(user.createTime)],
          ["Changed", dateTime(user.updateTime)],
        ]),
      ),
      user.status !== "USER_STATUS_DELETED" && manage(user, refresh),
    ),
    tabs({ label: "More", tabs: tabsOf }),
  );
}

function manage(user, refresh) {
  const change = async (body, text) => {
    await api.patch(`/users/${user.id}`, body);
    toast(text, "good");
    await refresh();
  };
  const role = form({
    fields: field({
      label: "Role",
      name: "role",
      type: "select",
      options: ROLE_OPTIONS,
      value: user.role,
      optional: false,
      hint: "It holds everywhere within a second.",
    }),
    submit: "Change the role",
    kind: "",
    onSubmit: async ({ role: next }) => {
      if (next === user.role) return;
      const text = `${user.displayName} becomes ${roleName(next).toLowerCase()}, no longer ${roleName(user.role).toLowerCase()}.`;
      if (await confirm({ title: "Change the role?", text, action: "Change the role", kind: "primary" }))
        await change({ role: next }, "The role is changed.");
    },
  });
  const suspended = user.status === "USER_STATUS_SUSPENDED";
  const suspend = async () => {
    const text = `${user.displayName} is signed out everywhere within a second, and cannot come back until you allow it.`;
    if (await confirm({ title: `Suspend ${user.displayName}?`, text, action: "Suspend" }))
      await change({ status: "USER_STATUS_SUSPENDED" }, "The account is suspended.");
  };
  return card(
    { title: "Access" },
    role,
    h("hr"),
    suspended
      ? button("Let them in again", {
          kind: "primary",
          onClick: () => change({ status: "USER_STATUS_ACTIVE" }, "The account is active again."),
        })
      : button("Suspend the account", { kind: "danger", onClick: suspend }),
  );
}
