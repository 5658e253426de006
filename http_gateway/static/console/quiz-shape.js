/**
 * A quiz while it is written: new questions, other kinds, and what is sent. Nothing of the page.
 * @module
 */

/** @typedef {{id: string, text: string}} Choice */
/**
 * @typedef {{id: string, prompt: string, kind: string, points: number, choices: Choice[], right: string[], texts: string,
 *   number: number | null, tolerance: number, explanation: string, support?: string}} Draft a question as the editor holds it
 */

/** @type {[string, string][]} */
export const KINDS = [
  ["QUESTION_KIND_SINGLE_CHOICE", "One right choice"],
  ["QUESTION_KIND_MULTIPLE_CHOICE", "Several right choices"],
  ["QUESTION_KIND_TRUE_FALSE", "True or false"],
  ["QUESTION_KIND_SHORT_TEXT", "Short text"],
  ["QUESTION_KIND_NUMERIC", "Number"],
];

/** @param {string} kind */
export const hasChoices = (kind) => kind === "QUESTION_KIND_SINGLE_CHOICE" || kind === "QUESTION_KIND_MULTIPLE_CHOICE";

/** @param {string} [text] @returns {Choice} */
export const newChoice = (text = "") => ({ id: crypto.randomUUID(), text });

/** @returns {Draft} */
export const newQuestion = () => ({
  id: "",
  prompt: "",
  kind: KINDS[0][0],
  points: 1,
  choices: [newChoice(), newChoice()],
  right: [],
  texts: "",
  number: null,
  tolerance: 0,
  explanation: "",
});

/**
 * A question of the contract, to be edited.
 * @param {any} question
 * @param {string} [support] the sentence that supports its key
 * @returns {Draft}
 */
export function draftOf({ id, prompt, kind, points, choices = [], answerKey = {}, explanation = "" }, support = "") {
  return {
    id,
    prompt,
    kind,
    points: points || 1,
    choices: choices.map((choice) => ({ ...choice })),
    right: answerKey.choiceIds ?? [],
    texts: (answerKey.acceptedTexts ?? []).join("\n"),
    number: answerKey.number ?? null,
    tolerance: answerKey.tolerance ?? 0,
    explanation,
    support,
  };
}

/** The question as another kind; what both kinds have stays. @param {Draft} question @param {string} kind @returns {Draft} */
export function asKind(question, kind) {
  const next = { ...question, kind };
  const wasChoice = hasChoices(question.kind);
  if (hasChoices(kind)) {
    if (!wasChoice) Object.assign(next, { choices: [newChoice(), newChoice()], right: [] });
    if (kind === "QUESTION_KIND_SINGLE_CHOICE") next.right = next.right.slice(0, 1);
  } else {
    Object.assign(next, { choices: [], right: [] });
  }
  return next;
}

/** A question as it is sent. @param {Draft} question */
export function wire({ id, prompt, kind, points, choices, right, texts, number, tolerance, explanation }) {
  const question = { id, prompt: prompt.trim(), kind, points: points || 1, explanation: explanation.trim() };
  if (hasChoices(kind)) return { ...question, choices, answerKey: { choiceIds: right } };
  if (kind === "QUESTION_KIND_TRUE_FALSE") return { ...question, answerKey: { choiceIds: right } };
  if (kind === "QUESTION_KIND_NUMERIC")
    return { ...question, answerKey: { number: number ?? undefined, tolerance: tolerance || 0 } };
  return {
    ...question,
    answerKey: {
      acceptedTexts: texts
        .split("\n")
        .map((text) => text.trim())
        .filter(Boolean),
    },
  };
}

/**
 * The faults of each question, by its place, and those of no question.
 * @param {{field: string, description: string}[]} violations
 */
export function byQuestion(violations) {
  /** @type {Map<number, string[]>} */
  const found = new Map();
  const others = [];
  for (const { field, description } of violations) {
    const [, place, rest] = /^questions\[(\d+)\]\.?(.*)$/.exec(field) ?? [];
    if (place === undefined) others.push(`${field}: ${description}`);
    else
      found.set(Number(place), [
        ...(found.get(Number(place)) ?? []),
        `${PARTS.find(([name]) => rest.startsWith(name))?.[1] ?? "It"} ${description}.`,
      ]);
  }
  return { found, others };
}

const PARTS = [
  ["prompt", "The question"],
  ["choices", "A choice"],
  ["answerKey", "The right answer"],
  ["points", "The points"],
  ["explanation", "The explanation"],
];
