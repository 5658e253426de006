/**
 * A list behind filters: what is chosen stands in the address, and the list follows while one types.
 * @module
 */

import { h, replace } from "./dom.js";
import { queryString } from "./api.js";
import { valuesOf } from "./forms.js";
import { failure, loading } from "./parts.js";
import { note } from "./router.js";

const TYPING_MS = 300;

/**
 * @param {{path: string, label: string, fields: any[], load: (values: Record<string, any>, signal: AbortSignal) =>
 *   Promise<any>, signal: AbortSignal}} props
 *   `fields`: of `field`, with the address's values; `load` makes the list
 */
export function filtered({ path, label, fields, load, signal }) {
  const region = h("div", { class: "filtered" });
  const form = h(
    "form",
    { class: "finder", role: "search", "aria-label": label, on: { submit: (event) => event.preventDefault() } },
    fields,
  );
  let timer = 0;
  let running = new AbortController();
  const show = async () => {
    running.abort();
    running = new AbortController();
    const mine = AbortSignal.any([signal, running.signal]);
    const slow = setTimeout(() => replace(region, loading()), 200);
    try {
      const list = await load(valuesOf(form), mine);
      if (!mine.aborted) replace(region, list);
    } catch (error) {
      if (!mine.aborted) replace(region, failure(error, show));
    } finally {
      clearTimeout(slow);
    }
  };
  const changed = (wait) => {
    clearTimeout(timer);
    timer = setTimeout(() => (note(path + queryString(valuesOf(form))), show()), wait);
  };
  form.addEventListener("input", (event) =>
    changed(event.target.matches("select, [type=checkbox], [type=date]") ? 0 : TYPING_MS),
  );
  show();
  return h("div", null, form, region);
}
