/**
 * A certificate by its number: what it says, taking it back, issuing it anew.
 * @module
 */

import { api } from "./api.js";
import { certificateCard } from "./certificate-card.js";
import { h, replace } from "./dom.js";
import { card, field, form, heading } from "./parts.js";
import { note } from "./router.js";

/** @param {import("./router.js").Place} place */
export async function show({ query, signal }) {
  const found = h("div", { "aria-live": "polite" });
  const look = async (id) => {
    const read = async () =>
      replace(found, certificateCard(await api.get(`/certificates/${encodeURIComponent(id)}/verify`, { signal }), read));
    replace(found);
    await read();
    note(`/admin/certificates?id=${encodeURIComponent(id)}`);
  };
  const asked = query.get("id") ?? "";
  const search = form({
    fields: field({
      label: "Number of the certificate",
      name: "certificateId",
      required: true,
      maxlength: 60,
      value: asked,
      placeholder: "SF-…",
      autocomplete: "off",
    }),
    submit: "Find",
    class: "inline-form",
    onSubmit: ({ certificateId }) => look(certificateId.trim()),
  });
  if (asked) await look(asked).catch(() => {});
  return h(
    "div",
    { class: "narrow" },
    heading("Certificates", { lead: "Look one up by the number that is printed on it." }),
    card({}, search),
    found,
  );
}
