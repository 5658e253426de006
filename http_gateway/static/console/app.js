/**
 * The console: it starts here.
 * @module
 */

import { h } from "./dom.js";
import { announce, build, home, navigate } from "./frame.js";
import { go, here, start } from "./router.js";
import { session } from "./session.js";
import { viewsOf } from "./views.js";

const outlet = h("main", { id: "main", tabindex: -1 });
const entry = { path: "/", title: "", show: () => (go(home(), { replace: true }), h("div")) };

/** What whoever is here now may see. */
async function views() {
  const found = await viewsOf(session.user?.role ?? "");
  navigate(found);
  return [entry, ...found];
}

build(outlet);
if (!here().path) go("/");
start(views, outlet, announce);
