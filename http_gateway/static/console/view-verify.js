/**
 * Checking a certificate by its number or its file, by anybody.
 * @module
 */

import { ApiError, api } from "./api.js";
import { h, replace } from "./dom.js";
import { date, label, score } from "./format.js";
import { card, facts, field, form, heading, icon } from "./parts.js";

const RESULTS = {
  FILE_RESULT_UNCHANGED: ["good", "check-circle", "This file is genuine and unchanged"],
  FILE_RESULT_CHANGED: ["bad", "alert", "This file was changed"],
  FILE_RESULT_NOT_OURS: ["bad", "alert", "This file was not issued here"],
  FILE_RESULT_REVOKED: ["bad", "alert", "This file is genuine, but no longer in force"],
  FILE_RESULT_UNREADABLE: ["note", "alert", "This file cannot be checked"],
  FILE_RESULT_KEY_NOT_TRUSTED: ["note", "alert", "This file's signature is trusted no more"],
};

export const views = [{ path: "/verify", title: "Verify a certificate", show: showVerify }];

function showVerify() {
  const result = h("div", { "aria-live": "polite" });
  return h(
    "div",
    { class: "narrow" },
    heading("Verify a certificate", {
      lead: "Whether a certificate is genuine, unchanged and in force. Nobody needs an account for this.",
    }),
    h("div", { class: "stack" }, result, byNumber(result), byFile(result)),
  );
}

const byNumber = (result) =>
  card(
    { title: "By its number" },
    form({
      submit: "Check the number",
      fields: field({
        label: "Certificate number",
        name: "certificateId",
        required: true,
        placeholder: "SF-…",
        autocomplete: "off",
        spellcheck: "false",
        hint: "It is printed on the certificate: SF- and 27 letters and digits.",
      }),
      onSubmit: async ({ certificateId }) => tell(result, await numberResult(certificateId.trim())),
    }),
  );

const byFile = (result) =>
  card(
    { title: "By its file" },
    form({
      submit: "Check the file",
      fields: field({
        label: "The certificate's PDF",
        name: "file",
        type: "file",
        required: true,
        accept: "application/pdf,.pdf",
        hint: "Up to 5 MiB. It is compared with what was issued, and kept nowhere.",
      }),
      onSubmit: async ({ file }) =>
        tell(result, fileResult(await api.upload("/certificates/verify", new Blob([file], { type: "application/pdf" })))),
    }),
  );

function tell(place, content) {
  replace(place, content);
  place.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

async function numberResult(number) {
  try {
    const said = await api.get(`/certificates/${encodeURIComponent(number)}/verify`);
    if (said.valid)
      return verdict(
        "good",
        "check-circle",
        "This certificate is valid",
        `It was issued by ${said.issuer?.name || "us"} and is in force.`,
        said,
      );
    return verdict(
      "bad",
      "alert",
      said.replacedBy ? "This certificate was replaced" : "This certificate was revoked",
      label(said.revokeReason, "REVOKE_REASON"),
      said,
    );
  } catch (error) {
    if (!(error instanceof ApiError) || ![400, 404].includes(error.status)) throw error;
    const known = error.status === 404;
    return verdict(
      known ? "bad" : "note",
      "alert",
      known ? "No such certificate" : "This is not a certificate number",
      known ? "The number is well formed, but it was never issued." : "Please check it for typing errors.",
    );
  }
}

function fileResult(said) {
  const [kind, name, title] = RESULTS[said.result] ?? RESULTS.FILE_RESULT_UNREADABLE;
  return verdict(kind, name, title, said.detail, said);
}

function verdict(kind, name, title, text, said) {
  const snapshot = said?.snapshot;
  return h(
    "div",
    { class: `callout ${kind}` },
    icon(name),
    h(
      "div",
      { class: "stack tight" },
      h("div", null, h("h2", null, title), h("p", null, text)),
      snapshot &&
        facts([
          ["Name", h("span", { dir: "auto" }, snapshot.studentName)],
          ["Course", h("span", { dir: "auto" }, snapshot.courseTitle)],
          ["Instructor", h("span", { dir: "auto" }, snapshot.instructorName)],
          ["Final score", score(snapshot.scorePercent)],
          ["Issued", date(said.issueTime)],
          ["Revoked", date(said.revokeTime)],
        ]),
      said?.certificateId &&
        h(
          "p",
          null,
          h(
            "a",
            { href: `/certificates/${encodeURIComponent(said.certificateId)}/verify`, target: "_blank", rel: "noopener" },
            "Our record of this certificate",
          ),
        ),
    ),
  );
}
