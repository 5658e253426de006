/**
 * A certificate as those see it who may take it back or issue it anew.
 * @module
 */

import { api } from "./api.js";
import { h } from "./dom.js";
import { date, label, score } from "./format.js";
import { badge, button, card, confirm, dialog, facts, field, form, icon, toast } from "./parts.js";

const REASONS = [
  ["REVOKE_REASON_ISSUED_IN_ERROR", "Issued in error"],
  ["REVOKE_REASON_MISCONDUCT", "Misconduct"],
  ["REVOKE_REASON_HOLDER_REQUEST", "The holder asked for it"],
  ["REVOKE_REASON_OTHER", "Another reason"],
];

/** @param {any} found the answer of `/certificates/{id}/verify` @param {() => any} refresh */
export function certificateCard({ certificateId, snapshot, status, issueTime, revokeTime, revokeReason, replacedBy }, refresh) {
  const revoked = status === "CERTIFICATE_STATUS_REVOKED";
  return card(
    { title: "Certificate", actions: revoked ? badge("Revoked", "bad") : badge("Valid", "good") },
    facts([
      ["Number", h("code", null, certificateId)],
      ["Holder", snapshot.studentName],
      ["Course", snapshot.courseTitle],
      ["Score", score(snapshot.scorePercent)],
      ["Issued", date(issueTime)],
      ["Revoked", revoked && `${date(revokeTime)}: ${label(revokeReason, "REVOKE_REASON").toLowerCase()}`],
      ["Replaced by", replacedBy && h("code", null, replacedBy)],
    ]),
    h(
      "div",
      { class: "actions" },
      !revoked &&
        button("Download", {
          icon: "download",
          small: true,
          onClick: () => api.download(`/certificates/${certificateId}/download`, `${certificateId}.pdf`),
        }),
      h(
        "a",
        { class: "button quiet small", href: `/certificates/${certificateId}/verify`, target: "_blank", rel: "noopener" },
        icon("external"),
        "Its page",
      ),
      !replacedBy && button("Issue anew", { small: true, kind: "quiet", onClick: () => reissue(certificateId, refresh) }),
      !revoked && button("Revoke", { small: true, kind: "danger", onClick: () => revoke(certificateId, refresh) }),
    ),
  );
}

async function revoke(certificateId, refresh) {
  const content = (close) =>
    form({
      fields: [
        h("p", null, "From now on it is shown as revoked to everybody who verifies it, with the reason."),
        field({ label: "Reason", name: "reason", type: "select", options: REASONS, optional: false }),
        field({
          label: "Note",
          name: "note",
          type: "textarea",
          rows: 2,
          maxlength: 500,
          hint: "For the student and the records; the public does not see it.",
        }),
      ],
      submit: "Revoke the certificate",
      kind: "danger",
      onSubmit: async (values) => close(await api.post(`/certificates/${certificateId}/revoke`, values, { idempotencyKey: "" })),
    });
  if (!(await dialog({ title: "Revoke this certificate?", content }).closed)) return;
  toast("The certificate is revoked.");
  await refresh();
}

async function reissue(certificateId, refresh) {
  const text = "A new one is issued with the student's present name. This one is revoked for good, and leads to the new one.";
  if (!(await confirm({ title: "Issue it anew?", text, action: "Issue anew", kind: "primary" }))) return;
  const next = await api.post(`/certificates/${certificateId}/reissue`);
  toast(`The new certificate is ${next.id}.`, "good");
  await refresh();
}
