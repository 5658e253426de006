/**
 * A student's certificates: to look at, to download, to show.
 * @module
 */

import { api } from "./api.js";
import { h } from "./dom.js";
import { date, label, score } from "./format.js";
import { badge, button, empty, heading, icon, pager, toast } from "./parts.js";
import { link } from "./router.js";

export const views = [
  {
    path: "/certificates",
    title: "Certificates",
    roles: ["ROLE_STUDENT"],
    nav: { text: "Certificates", icon: "award", order: 60 },
    show: showCertificates,
  },
];

async function showCertificates({ signal }) {
  const list = await pager({
    pages: api.list("/certificates", { signal }),
    into: h("ul", { class: "grid diplomas" }),
    render: (page) => page.certificates.map((certificate) => h("li", null, diploma(certificate))),
    empty: empty(
      "Complete every lecture of a course and pass its exam: the certificate comes by itself.",
      link("/learning", "My courses", { class: "button primary" }),
      { icon: "award", title: "No certificates yet" },
    ),
  });
  return h(
    "div",
    null,
    heading("Certificates", {
      lead: "Signed, numbered, and open to be checked by anybody you show them to.",
      actions: link("/verify", [icon("shield"), "Verify a certificate"], { class: "button" }),
    }),
    list,
  );
}

/**
 * A certificate as a card. @param {any} certificate
 * @returns {HTMLElement}
 */
export function diploma(certificate) {
  const { id, snapshot, status, issueTime } = certificate;
  const revoked = status === "CERTIFICATE_STATUS_REVOKED";
  return h(
    "article",
    { class: `diploma-card${revoked ? " void" : ""}` },
    h(
      "div",
      { class: "diploma" },
      icon("award"),
      h("p", { class: "diploma-name", dir: "auto" }, snapshot.studentName),
      h("p", { class: "fine" }, "has completed"),
      h("h2", { dir: "auto" }, snapshot.courseTitle),
      h(
        "p",
        { class: "fine" },
        h("span", { dir: "auto" }, snapshot.instructorName),
        ` · ${score(snapshot.scorePercent)} · ${date(issueTime)}`,
      ),
      revoked &&
        badge(certificate.replacedBy ? "Replaced" : label(certificate.revokeReason, "REVOKE_REASON") || "Revoked", "bad"),
    ),
    h("p", { class: "diploma-number mono" }, id),
    h(
      "div",
      { class: "diploma-actions" },
      button("Download PDF", {
        kind: "primary",
        icon: "download",
        onClick: () =>
          api.download(`/certificates/${encodeURIComponent(id)}/download`, `${id}.pdf`, { accept: "application/pdf" }),
      }),
      h(
        "a",
        { class: "button", href: `/certificates/${encodeURIComponent(id)}/verify`, target: "_blank", rel: "noopener" },
        icon("external"),
        "Its public page",
      ),
      button("Copy its link", { kind: "quiet", icon: "copy", hidden: true, onClick: () => copyLink(id) }),
    ),
  );
}

async function copyLink(id) {
  await navigator.clipboard.writeText(`${location.origin}/certificates/${encodeURIComponent(id)}/verify`);
  toast("The link is copied. Whoever has it can check the certificate.", "good");
}
