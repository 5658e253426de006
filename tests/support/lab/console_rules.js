// Run in the console's page by the tests: what its modules decide by themselves. Returns what is wrong.
async () => {
  const at = (name) => document.querySelector("script[type=module]").src.replace("app.js", name);
  const { moved, order } = await import(at("outline-order.js"));
  const { roundScale } = await import(at("charts.js"));
  const { linked } = await import(at("linked.js"));
  const { asKind, byQuestion, draftOf, wire } = await import(at("quiz-shape.js"));
  const wrong = [];
  const same = (name, found, wanted) => JSON.stringify(found) === JSON.stringify(wanted) || wrong.push([name, found, wanted]);

  const outline = [
    ["A", "ab"],
    ["B", ""],
    ["C", "c"],
  ].map(([id, lectures]) => ({ id, lectures: [...lectures].map((name) => ({ id: name })) }));
  const shape = (modules) => modules && order(modules).map((item) => item.moduleId + item.lectureIds.join(""));
  same("within", shape(moved(outline, "b", -1)), ["Aba", "B", "Cc"]);
  same("to the next", shape(moved(outline, "b", 1)), ["Aa", "Bb", "Cc"]);
  same("to the one before", shape(moved(outline, "c", -1)), ["Aab", "Bc", "C"]);
  same("a module", shape(moved(outline, "C", -1)), ["Aab", "Cc", "B"]);
  for (const [id, step] of [
    ["a", -1],
    ["c", 1],
    ["A", -1],
    ["C", 1],
    ["x", 1],
  ])
    same("no further", moved(outline, id, step), null);

  for (let value = 0; value < 5000; value = value * 1.7 + 1) {
    const { top, step } = roundScale(value);
    if (top < value || top % step || top / step > 5) wrong.push(["scale", value, top, step]);
  }

  const links = (text) =>
    linked(text)
      .filter((part) => part.href)
      .map((part) => part.getAttribute("href"));
  same("links", links("See https://a.example/b_(c), (https://d.example/e). javascript:alert(1)"), [
    "https://a.example/b_(c)",
    "https://d.example/e",
  ]);

  const question = draftOf({
    id: "q",
    prompt: "P",
    kind: "QUESTION_KIND_MULTIPLE_CHOICE",
    choices: [
      { id: "a", text: "A" },
      { id: "b", text: "B" },
    ],
    answerKey: { choiceIds: ["a", "b"] },
  });
  same("single", wire(asKind(question, "QUESTION_KIND_SINGLE_CHOICE")).answerKey, { choiceIds: ["a"] });
  same("number", wire({ ...asKind(question, "QUESTION_KIND_NUMERIC"), number: 0 }).answerKey, { number: 0, tolerance: 0 });
  same("texts", wire({ ...asKind(question, "QUESTION_KIND_SHORT_TEXT"), texts: " x \n\ny" }).answerKey, {
    acceptedTexts: ["x", "y"],
  });
  same(
    "faults",
    [...byQuestion([{ field: "questions[1].prompt", description: "is empty" }]).found],
    [[1, ["The question is empty."]]],
  );
  return wrong;
};
