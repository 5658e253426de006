/**
 * Payments: coming back from the checkout, and the list with its receipts.
 * @module
 */

import { api } from "./api.js";
import { h, pause, replace } from "./dom.js";
import { date, dateTime, label, money } from "./format.js";
import { badge, button, card, empty, facts, heading, icon, pager, toast } from "./parts.js";
import { go, link, refresh } from "./router.js";

const ROLES = ["ROLE_STUDENT"];
const POLL_MS = [500, 500, 1000, 1000, 2000, 2000, 3000, 5000, 5000, 10_000, 10_000, 20_000];
const KINDS = { SUCCEEDED: "good", PENDING: "note", FAILED: "bad", REFUNDED: "", PARTIALLY_REFUNDED: "", EXPIRED: "" };
const WORDS = {
  SUCCEEDED: "Paid",
  PENDING: "Waiting",
  FAILED: "Failed",
  REFUNDED: "Refunded",
  PARTIALLY_REFUNDED: "Partly refunded",
  EXPIRED: "Expired",
};

export const views = [
  {
    path: "/payments",
    title: "Payments",
    roles: ROLES,
    nav: { text: "Payments", icon: "card", order: 70 },
    show: showPayments,
  },
  { path: "/payments/:paymentId", title: "Payment", roles: ROLES, within: "/payments", show: showPayment },
];

/** A payment's state in a word. @param {string} status */
export function statusBadge(status) {
  const name = status.replace("PAYMENT_STATUS_", "");
  return badge(WORDS[name] ?? label(status, "PAYMENT_STATUS"), KINDS[name] ?? "");
}

// The list.

async function showPayments({ signal }) {
  const titles = new Map();
  const list = await pager({
    pages: api.list("/payments", { signal }),
    into: h("ul", { class: "card lines" }),
    render: (page) => page.payments.map((payment) => paymentLine(payment, titles, signal)),
    empty: empty(
      "What you pay for courses stands here, with its receipts.",
      link("/courses", "Look at the courses", { class: "button" }),
      { icon: "card", title: "No payments" },
    ),
  });
  return h("div", { class: "narrow" }, heading("Payments", { lead: "Every payment, refund and receipt." }), list);
}

function paymentLine(payment, titles, signal) {
  const title = h("span", { dir: "auto" }, "Course");
  titleOf(payment.courseId, titles, signal).then((text) => replace(title, text));
  return h(
    "li",
    { class: "line" },
    icon("card"),
    h(
      "span",
      { class: "line-main" },
      link(`/payments/${payment.id}`, title),
      h("span", { class: "fine" }, dateTime(payment.createTime)),
    ),
    statusBadge(payment.status),
    h("strong", { class: "numeric" }, money(payment.amount)),
  );
}

/** A course's title, asked for once. */
function titleOf(courseId, titles, signal) {
  if (!titles.has(courseId))
    titles.set(
      courseId,
      api.get(`/courses/${courseId}`, { signal }).then(
        (course) => course.title,
        () => "A course that is offered no more",
      ),
    );
  return titles.get(courseId);
}

// One payment; people come here from the checkout.

async function showPayment({ params: { paymentId }, signal }) {
  const payment = await api.get(`/payments/${paymentId}`, { signal });
  const title = await titleOf(payment.courseId, new Map(), signal);
  const page = h("div", { class: "narrow" });
  drawPayment(page, payment, title);
  if (payment.status === "PAYMENT_STATUS_PENDING") follow(page, payment, title, signal);
  return page;
}

/** Look until the payment is settled: the provider tells the school by itself, usually before the person is back. */
async function follow(page, payment, title, signal) {
  for (const ms of POLL_MS) {
    try {
      await pause(ms, signal);
      const now = await api.get(`/payments/${payment.id}`, { signal });
      if (now.status === payment.status) continue;
      drawPayment(page, now, title);
      if (now.status === "PAYMENT_STATUS_SUCCEEDED") toast("Paid. The course is yours.", "good");
      return;
    } catch (error) {
      if (signal.aborted) return;
    }
  }
}

function drawPayment(page, payment, title) {
  replace(
    page,
    heading(title, { back: link("/payments", "Payments"), eyebrow: "Payment" }),
    h("div", { class: "stack" }, state(payment), details(payment), refunds(payment)),
  );
}

function state(payment) {
  const toCourse = link(`/courses/${payment.courseId}`, "To the course", { class: "button primary" });
  switch (payment.status) {
    case "PAYMENT_STATUS_SUCCEEDED":
    case "PAYMENT_STATUS_PARTIALLY_REFUNDED":
      return said("good", "check-circle", "Paid", "The course is yours.", toCourse);
    case "PAYMENT_STATUS_PENDING":
      return said(
        "note",
        "clock",
        "Waiting for the payment",
        "This page goes on by itself as soon as the provider tells that it is paid.",
        payment.checkoutUrl && h("a", { class: "button", href: payment.checkoutUrl }, "Back to the checkout"),
      );
    case "PAYMENT_STATUS_REFUNDED":
      return said("", "refresh", "Refunded", "All of it was given back.", toCourse);
    default:
      return said(
        "bad",
        "alert",
        payment.status === "PAYMENT_STATUS_EXPIRED" ? "The checkout expired" : "The payment failed",
        "Nothing was charged. You can try again, with another card for instance.",
        again(payment),
      );
  }
}

const said = (kind, name, title, text, action) =>
  h(
    "div",
    { class: `callout ${kind}`, role: "status" },
    icon(name),
    h("div", { class: "spread wrap" }, h("div", null, h("h2", null, title), h("p", null, text)), action),
  );

const again = (payment) =>
  button("Try again", {
    kind: "primary",
    onClick: async () => {
      const next = await api.post("/payments/create", { courseId: payment.courseId, couponCode: payment.couponCode });
      if (next.checkoutUrl) location.assign(next.checkoutUrl);
      else if (next.id === payment.id) refresh();
      else go(`/payments/${next.id}`);
    },
  });

function details(payment) {
  const { receipt } = payment;
  return card(
    { title: receipt ? "Receipt" : "Details" },
    facts([
      ["Receipt", receipt?.number && h("span", { class: "mono" }, receipt.number)],
      ["State", statusBadge(payment.status)],
      ["Price", payment.listPrice && money(payment.listPrice)],
      [
        "Discount",
        payment.discount?.amountMinor > 0 &&
          `${money(payment.discount)}${payment.couponCode ? ` (${payment.couponCode})` : ""}`,
      ],
      [receipt ? "Paid" : "To pay", money(payment.amount)],
      [
        "Refunded",
        payment.refundedMinor > 0 && money({ amountMinor: payment.refundedMinor, currency: payment.amount.currency }),
      ],
      ["Paid on", receipt && dateTime(receipt.payTime)],
      ["Begun on", !receipt && dateTime(payment.createTime)],
      ["Open until", payment.status === "PAYMENT_STATUS_PENDING" && dateTime(payment.expireTime)],
    ]),
  );
}

function refunds(payment) {
  if (!payment.refunds.length) return null;
  return card(
    { title: "Refunds" },
    h(
      "ul",
      { class: "lines" },
      payment.refunds.map((refund) =>
        h(
          "li",
          { class: "line" },
          h(
            "span",
            { class: "line-main" },
            h("span", { dir: "auto" }, refund.reason),
            h("span", { class: "fine" }, date(refund.createTime)),
          ),
          badge(
            label(refund.status, "REFUND_STATUS"),
            refund.status.endsWith("SUCCEEDED") ? "good" : refund.status.endsWith("FAILED") ? "bad" : "note",
          ),
          h("strong", { class: "numeric" }, money(refund.amount)),
        ),
      ),
    ),
  );
}
