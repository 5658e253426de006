/**
 * What administrators see: the platform's figures, people, payments, certificates, and who changed what.
 * @module
 */

import { link } from "./router.js";

const ADMIN = ["ROLE_ADMIN"];

const page = (path, title, load, nav) => ({ path, title, roles: ADMIN, nav, show: async (place) => (await load()).show(place) });

/** @type {import("./router.js").View[]} */
export const views = [
  page("/admin/overview", "Platform", () => import("./admin-overview.js"), { text: "Platform", icon: "chart", order: 10 }),
  page("/admin/people", "People", () => import("./admin-people.js"), { text: "People", icon: "users", order: 12 }),
  page("/admin/people/:userId", "Person", () => import("./admin-person.js")),
  page("/admin/payments", "Payments", () => import("./admin-payments.js"), { text: "Payments", icon: "card", order: 14 }),
  page("/admin/certificates", "Certificates", () => import("./admin-certificates.js"), {
    text: "Certificates",
    icon: "award",
    order: 16,
  }),
  page("/admin/audit", "Audit log", () => import("./admin-audit.js"), { text: "Audit log", icon: "list", order: 18 }),
];

/** A link to a person's page. @param {string} userId @param {string} name */
export const personLink = (userId, name) => link(`/admin/people/${userId}`, name, { dir: "auto" });
