/**
 * A course's coupons.
 * @module
 */

import { api } from "./api.js";
import { amountOf } from "./course-fields.js";
import { courseFrame, ownCourse } from "./course-frame.js";
import { h } from "./dom.js";
import { date, money, percent, plural } from "./format.js";
import { badge, button, confirm, dialog, empty, field, form, pager, toast } from "./parts.js";

/** @param {import("./router.js").Place} place */
export async function show({ params: { courseId }, signal, refresh }) {
  const course = await ownCourse(courseId, signal);
  const into = h("ul", { class: "card people-list" });
  const pages = api.list("/coupons", { query: { courseId, includeDeleted: true, pageSize: 50 }, signal });
  const nothing = empty(
    course.price?.amountMinor
      ? "A coupon takes something off the price, for whoever has its code."
      : "This course is free: there is nothing to take off.",
    null,
    { icon: "card" },
  );
  return courseFrame(
    course,
    "/coupons",
    refresh,
    h(
      "div",
      { class: "part-head" },
      h("h2", { class: "part-title" }, "Coupons"),
      course.price?.amountMinor > 0 &&
        button("New coupon", { kind: "primary", icon: "plus", onClick: () => create(course, refresh) }),
    ),
    await pager({ pages, into, render: ({ coupons }) => coupons.map((coupon) => line(coupon, refresh)), empty: nothing }),
  );
}

function line(coupon, refresh) {
  const over = coupon.disableTime
    ? "Ended"
    : coupon.expireTime && Date.parse(coupon.expireTime) < Date.now()
      ? "Expired"
      : coupon.maxUses && coupon.uses >= coupon.maxUses
        ? "Used up"
        : "";
  const off = coupon.percent ? percent(coupon.percent) : money(coupon.amountOff);
  const uses = coupon.maxUses ? `${coupon.uses} of ${coupon.maxUses} used` : plural(coupon.uses, "use");
  return h(
    "li",
    { class: "person-line" },
    h(
      "div",
      { class: "person-line-text" },
      h("strong", null, h("code", null, coupon.code)),
      h("p", null, `${off} off · ${uses}`, coupon.expireTime && ` · until ${date(coupon.expireTime)}`),
    ),
    over ? badge(over) : badge("Valid", "good"),
    !coupon.disableTime &&
      button(`End coupon ${coupon.code}`, {
        icon: "trash",
        kind: "quiet",
        small: true,
        hidden: true,
        onClick: () => end(coupon, refresh),
      }),
  );
}

async function create(course, refresh) {
  const content = (close) =>
    form({
      fields: [
        field({
          label: "Code",
          name: "code",
          required: true,
          minlength: 3,
          maxlength: 50,
          pattern: "[A-Za-z0-9_\\-]{3,50}",
          hint: "Letters, digits, - and _.",
          autocapitalize: "characters",
        }),
        h(
          "div",
          { class: "field-row" },
          field({ label: "Percent off", name: "percent", type: "number", min: 1, max: 100 }),
          field({ label: `Or an amount, ${course.price.currency}`, name: "amountOff", type: "number", min: 0, step: "any" }),
        ),
        h(
          "div",
          { class: "field-row" },
          field({ label: "Uses in all", name: "maxUses", type: "number", min: 1, hint: "Empty: any number." }),
          field({ label: "Valid until", name: "expireTime", type: "date" }),
        ),
      ],
      submit: "Create",
      onSubmit: async ({ code, percent: share, amountOff, maxUses, expireTime }) =>
        close(
          await api.post("/coupons", {
            code,
            courseId: course.id,
            percent: share ?? 0,
            amountOff: amountOff ? amountOf(amountOff, course.price.currency) : undefined,
            maxUses: maxUses ?? 0,
            expireTime: expireTime ? new Date(`${expireTime}T23:59:59`).toISOString() : undefined,
          }),
        ),
    });
  if (!(await dialog({ title: "New coupon", content }).closed)) return;
  toast("The coupon is ready.", "good");
  await refresh();
}

async function end(coupon, refresh) {
  if (
    !(await confirm({
      title: `End ${coupon.code}?`,
      text: "Nobody can use it any more. Payments that were opened with it keep their price.",
      action: "End coupon",
    }))
  )
    return;
  await api.del(`/coupons/${coupon.id}`);
  await refresh();
}
