/**
 * Moving within an outline; nothing of the page.
 * @module
 */

/**
 * The modules after a module or lecture went one step up (-1) or down (1); a lecture goes on in the next module. null: it
 * cannot go further.
 * @template {{id: string, lectures: {id: string}[]}} M
 * @param {M[]} modules
 * @param {string} id
 * @param {-1 | 1} step
 * @returns {M[] | null}
 */
export function moved(modules, id, step) {
  const place = modules.findIndex((module) => module.id === id);
  if (place >= 0) return swapped(modules, place, place + step);
  const home = modules.findIndex((module) => module.lectures.some((lecture) => lecture.id === id));
  if (home < 0) return null;
  const { lectures } = modules[home];
  const at = lectures.findIndex((lecture) => lecture.id === id);
  const within = swapped(lectures, at, at + step);
  if (within) return modules.map((module, index) => (index === home ? { ...module, lectures: within } : module));
  const next = home + step;
  if (!modules[next]) return null;
  return modules.map((module, index) => {
    if (index === home) return { ...module, lectures: lectures.filter((lecture) => lecture.id !== id) };
    if (index !== next) return module;
    return { ...module, lectures: step > 0 ? [lectures[at], ...module.lectures] : [...module.lectures, lectures[at]] };
  });
}

/** The order as the contract wants it. @param {{id: string, lectures: {id: string}[]}[]} modules */
export const order = (modules) =>
  modules.map((module) => ({ moduleId: module.id, lectureIds: module.lectures.map((lecture) => lecture.id) }));

function swapped(list, from, to) {
  if (to < 0 || to >= list.length) return null;
  const next = [...list];
  [next[from], next[to]] = [next[to], next[from]];
  return next;
}
