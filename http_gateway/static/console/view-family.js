/**
 * What parents see: their children, how far each is, certificates and attempts. They read; they change nothing.
 * @module
 */

import { api } from "./api.js";
import { attemptLine } from "./course-progress.js";
import { h } from "./dom.js";
import { ago, date, percent, plural, score } from "./format.js";
import { live, whenever } from "./live.js";
import { courseTitle } from "./names.js";
import {
  badge,
  button,
  card,
  confirm,
  dialog,
  empty,
  field,
  form,
  heading,
  icon,
  pager,
  progressBar,
  tabs,
  toast,
} from "./parts.js";
import { face } from "./people.js";
import { go, link, note } from "./router.js";

const PARENT = ["ROLE_PARENT"];
const NEWS = ["progress.changed", "certificate.issued", "missed"];

/** @type {import("./router.js").View[]} */
export const views = [
  {
    path: "/family",
    title: "My children",
    roles: PARENT,
    show: showChildren,
    nav: { text: "Children", icon: "family", order: 10 },
  },
  { path: "/family/:childId", title: "Child", roles: PARENT, show: showChild, within: "/family" },
  {
    path: "/family/:childId/courses/:courseId",
    title: "Course",
    roles: PARENT,
    within: "/family",
    show: async (place) => (await import("./family-course.js")).show(place),
  },
];

async function showChildren({ signal, refresh }) {
  const { children } = await api.get("/families/children", { query: { pageSize: 100 }, signal });
  live.know(children.map(personOf));
  whenever(NEWS, signal, refresh);
  const add = button("Add a child", { kind: "primary", icon: "plus", onClick: () => addChild(refresh) });
  const courses = await Promise.all(
    children.map(({ childId }) => api.get(`/families/children/${childId}/progress`, { query: { pageSize: 20 }, signal })),
  );
  return h(
    "div",
    null,
    heading("My children", {
      lead: "How they are getting on. You see it for as long as they share it with you.",
      actions: children.length > 0 && add,
    }),
    children.length
      ? h(
          "ul",
          { class: "cards" },
          children.map((child, place) => h("li", null, childCard(child, courses[place].courses))),
        )
      : empty("Ask your child for a link code: it is made on their account page, and works once within 15 minutes.", add, {
          icon: "family",
          title: "No child is linked yet",
        }),
  );
}

const personOf = ({ childId, childName, childImageUrl }) => ({ id: childId, displayName: childName, imageUrl: childImageUrl });

function childCard(child, courses) {
  const person = personOf(child);
  const active = courses.filter(({ completeTime }) => !completeTime);
  const done = courses.length - active.length;
  const last = courses
    .map((course) => course.lastActivityTime)
    .filter(Boolean)
    .sort()
    .at(-1);
  return card(
    { class: "child" },
    h(
      "div",
      { class: "child-head" },
      face(person, "large"),
      h(
        "div",
        null,
        h("h2", { dir: "auto" }, link(`/family/${person.id}`, person.displayName)),
        h("p", { class: "meta" }, last ? `Last active ${ago(last)}` : "Nothing done yet"),
      ),
    ),
    active.slice(0, 3).map(courseLine),
    h(
      "p",
      { class: "meta" },
      courses.length ? [plural(courses.length, "course"), done > 0 && `, ${done} completed`] : "Not in any course yet",
    ),
    link(`/family/${person.id}`, "See everything", { class: "button" }),
  );
}

const courseLine = (course) =>
  h(
    "div",
    { class: "child-course" },
    h("div", null, h("span", { dir: "auto" }, course.courseTitle), h("span", { class: "meta" }, percent(course.percent))),
    progressBar(course.percent, `Progress in ${course.courseTitle}`),
  );

async function addChild(refresh) {
  const content = (close) =>
    form({
      fields: field({
        label: "Link code",
        name: "code",
        required: true,
        maxlength: 40,
        autocomplete: "off",
        autocapitalize: "characters",
        placeholder: "ABCD-2345",
        hint: "Your child makes it under “My account”. It works once.",
      }),
      submit: "Link",
      onSubmit: async ({ code }) => close(await api.post("/families/children", { code })),
    });
  const linked = await dialog({ title: "Add a child", content }).closed;
  if (!linked) return;
  toast(`You now see how ${linked.childName} is getting on.`, "good");
  await refresh();
}

async function showChild({ params: { childId }, query, signal, refresh }) {
  const { children } = await api.get("/families/children", { query: { pageSize: 100 }, signal });
  const child = children.find((item) => item.childId === childId);
  if (!child)
    return empty("This child is not linked to you, or no longer.", link("/family", "My children", { class: "button" }), {
      icon: "family",
    });
  whenever(NEWS, signal, refresh);
  const list = (path, render, nothing, iconName) => async () => {
    const pages = api.list(`/families/children/${childId}/${path}`, { query: { pageSize: 20 }, signal });
    return pager({
      pages,
      into: h("ul", { class: "card people-list" }),
      render,
      empty: empty(nothing, null, { icon: iconName }),
    });
  };
  return h(
    "div",
    null,
    heading(child.childName, {
      back: link("/family", "My children"),
      eyebrow: `Linked since ${date(child.createTime)}`,
      actions: button("Unlink", { kind: "quiet", onClick: () => unlink(child) }),
    }),
    tabs({
      label: child.childName,
      selected: query.get("tab") ?? "courses",
      onSelect: (id) => note(`/family/${childId}?tab=${id}`),
      tabs: [
        {
          id: "courses",
          text: "Courses",
          show: list(
            "progress",
            ({ courses }) => courses.map((course) => courseItem(childId, course)),
            "Not in any course yet.",
            "book",
          ),
        },
        {
          id: "attempts",
          text: "Quizzes and exams",
          show: list("attempts", ({ attempts }) => attempts.map(attemptItem), "No quiz taken yet.", "quiz"),
        },
        {
          id: "certificates",
          text: "Certificates",
          show: list("certificates", ({ certificates }) => certificates.map(certificateItem), "No certificate yet.", "award"),
        },
      ],
    }),
  );
}

function courseItem(childId, course) {
  const ended = course.status === "ENROLLMENT_STATUS_ENDED";
  return h(
    "li",
    { class: "person-line" },
    h(
      "div",
      { class: "person-line-text" },
      link(`/family/${childId}/courses/${course.courseId}`, course.courseTitle, { dir: "auto" }),
      h(
        "p",
        null,
        `${course.lecturesCompleted} of ${plural(course.lecturesTotal, "lecture")}`,
        course.lastActivityTime && ` · active ${ago(course.lastActivityTime)}`,
      ),
    ),
    h("div", { class: "line-progress" }, progressBar(course.percent, `Progress in ${course.courseTitle}`)),
    course.completeTime ? badge("Completed", "good") : ended ? badge("Ended") : badge(percent(course.percent), "info"),
  );
}

function attemptItem(attempt) {
  const title = h("strong", { dir: "auto" }, "…");
  courseTitle(attempt.courseId).then((text) => (title.textContent = text));
  return h(
    "li",
    { class: "person-line" },
    h(
      "div",
      { class: "person-line-text" },
      title,
      h("p", { class: "attempt-line" }, attemptLine(attempt, `/attempts/${attempt.id}`)),
    ),
  );
}

function certificateItem({ id, snapshot, status, issueTime, verifyUrl }) {
  const valid = status === "CERTIFICATE_STATUS_VALID";
  return h(
    "li",
    { class: "person-line" },
    icon("award", { class: "big" }),
    h(
      "div",
      { class: "person-line-text" },
      h("strong", { dir: "auto" }, snapshot.courseTitle),
      h("p", null, `${date(issueTime)} · ${score(snapshot.scorePercent)}`),
    ),
    valid ? badge("Valid", "good") : badge("Revoked", "bad"),
    h(
      "div",
      { class: "person-line-actions" },
      valid &&
        button("Download", {
          small: true,
          icon: "download",
          onClick: () => api.download(`/certificates/${id}/download`, `${id}.pdf`),
        }),
      h("a", { class: "button quiet small", href: verifyUrl, target: "_blank", rel: "noopener" }, icon("external"), "Its page"),
    ),
  );
}

async function unlink(child) {
  const text = `You no longer see how ${child.childName} is getting on. A new code links you again.`;
  if (!(await confirm({ title: `Unlink ${child.childName}?`, text, action: "Unlink" }))) return;
  await api.del(`/families/children/${child.childId}`);
  go("/family");
}
