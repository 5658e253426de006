/**
 * Everybody's payments, and giving money back.
 * @module
 */

import { api } from "./api.js";
import { amountOf, typed } from "./course-fields.js";
import { h, replace } from "./dom.js";
import { date, label, money } from "./format.js";
import { courseTitle, userName } from "./names.js";
import { badge, button, dialog, field, form, heading, more, table, toast } from "./parts.js";
import { link } from "./router.js";
import { personLink } from "./view-admin.js";

const KINDS = {
  PAYMENT_STATUS_SUCCEEDED: "good",
  PAYMENT_STATUS_PENDING: "info",
  PAYMENT_STATUS_FAILED: "bad",
  PAYMENT_STATUS_REFUNDED: "note",
  PAYMENT_STATUS_PARTIALLY_REFUNDED: "note",
};
const PAID = ["PAYMENT_STATUS_SUCCEEDED", "PAYMENT_STATUS_PARTIALLY_REFUNDED"];

/** @param {import("./router.js").Place} place */
export async function show({ signal, refresh }) {
  return h(
    "div",
    null,
    heading("Payments", { lead: "Newest first. What is given back goes to the card it came from." }),
    await paymentTable({}, signal, refresh),
  );
}

/** The payments that match. @param {Record<string, any>} query @param {AbortSignal} signal @param {() => any} refresh */
export async function paymentTable(query, signal, refresh) {
  const pages = api.list("/payments", { query: { ...query, pageSize: 20 }, signal });
  const rows = [];
  const place = h("div", null);
  const next = async () => {
    const { value } = await pages.next();
    rows.push(...(await Promise.all((value?.payments ?? []).map(named))));
    replace(place, table({ caption: "Payments", columns: columns(refresh), rows, empty: "No payments." }));
    return Boolean(value?.nextPageToken);
  };
  const goesOn = await next();
  return h("div", null, place, goesOn && more(next));
}

async function named(payment) {
  const [course, student] = await Promise.all([courseTitle(payment.courseId), userName(payment.studentId)]);
  return { ...payment, course, student };
}

const columns = (refresh) => [
  { text: "Date", value: (payment) => h("span", { class: "nowrap" }, date(payment.createTime)) },
  { text: "Student", value: (payment) => personLink(payment.studentId, payment.student) },
  { text: "Course", value: (payment) => link(`/courses/${payment.courseId}`, payment.course, { dir: "auto" }) },
  {
    text: "Amount",
    numeric: true,
    value: (payment) => [money(payment.amount), payment.couponCode && h("span", { class: "hint block" }, payment.couponCode)],
  },
  { text: "State", value: (payment) => badge(label(payment.status, "PAYMENT_STATUS"), KINDS[payment.status] ?? "") },
  {
    text: "Given back",
    numeric: true,
    value: (payment) => (payment.refundedMinor ? money({ ...payment.amount, amountMinor: payment.refundedMinor }) : ""),
  },
  {
    text: "",
    value: (payment) =>
      PAID.includes(payment.status) &&
      payment.amount.amountMinor > payment.refundedMinor &&
      button("Refund", { small: true, onClick: () => refund(payment, refresh) }),
  },
];

async function refund(payment, refresh) {
  const left = { ...payment.amount, amountMinor: payment.amount.amountMinor - payment.refundedMinor };
  const content = (close) =>
    form({
      fields: [
        h(
          "p",
          null,
          `${payment.student} paid ${money(payment.amount)} for ${payment.course}. ${money(left)} can be given back. ` +
            "Access ends when all of it is.",
        ),
        field({
          label: `Amount, ${left.currency}`,
          name: "amountMinor",
          type: "number",
          min: 0,
          step: "any",
          value: typed(left),
          required: true,
        }),
        field({
          label: "Reason",
          name: "reason",
          required: true,
          maxlength: 500,
          hint: "For the books; the student sees it too.",
        }),
      ],
      submit: "Give it back",
      kind: "danger",
      onSubmit: async ({ amountMinor, reason }) => {
        const amount = amountOf(amountMinor, left.currency).amountMinor;
        close(
          await api.post(`/payments/${payment.id}/refund`, {
            ...(amount === left.amountMinor ? {} : { amountMinor: amount }),
            reason,
          }),
        );
      },
    });
  const made = await dialog({ title: "Refund", content }).closed;
  if (!made) return;
  toast(
    made.status === "REFUND_STATUS_SUCCEEDED"
      ? `${money(made.amount)} were given back.`
      : "The refund is on its way; the provider has not answered yet.",
    "good",
  );
  await refresh();
}
