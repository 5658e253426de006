// What the pages do better with a script. Without it everything works too.
"use strict";

const live = document.getElementById("live");

function say(text) {
  live.textContent = text;
}

// The number field and the list of test cards show the same choice.
function linkCards() {
  const field = document.getElementById("number");
  if (!field) return;
  const cards = [...document.querySelectorAll("input[name=card]")];
  const digits = (text) => text.replace(/\D/g, "");
  const grouped = (text) => digits(text).slice(0, 16).replace(/(.{4})(?=.)/g, "$1 ");
  const fromCard = () => {
    const chosen = cards.find((card) => card.checked);
    if (chosen) field.value = grouped(chosen.value);
  };
  cards.forEach((card) => card.addEventListener("change", fromCard));
  field.addEventListener("input", () => {
    const atEnd = field.selectionStart === field.value.length;
    if (atEnd) field.value = grouped(field.value);
    cards.forEach((card) => { card.checked = card.value === digits(field.value); });
  });
  if (!field.value) fromCard();
}

// A form is sent once, and says so.
function guardForms() {
  for (const form of document.querySelectorAll("form")) {
    form.addEventListener("submit", (event) => {
      if (form.hasAttribute("aria-busy")) {
        event.preventDefault();
        return;
      }
      form.setAttribute("aria-busy", "true");
      if (form.dataset.busy) {
        (event.submitter || form.querySelector("button")).textContent = form.dataset.busy;
        say(form.dataset.busy);
      }
    });
  }
}

// Times in the reader's own zone and words.
function localTimes() {
  const style = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  for (const time of document.querySelectorAll("time")) {
    time.title = time.textContent;
    time.textContent = style.format(new Date(time.dateTime));
  }
}

// A page that waits for something asks again, ever more seldom, and shows what is new.
const FIRST_WAIT = 400, LONGEST_WAIT = 5000, LONGEST_WATCH = 15 * 60 * 1000; // milliseconds

async function watch() {
  const end = Date.now() + LONGEST_WATCH;
  let wait = FIRST_WAIT;
  while (document.querySelector("main[data-poll]") && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    const fresh = await load();
    wait = fresh && show(fresh) ? FIRST_WAIT : Math.min(wait * 1.3, LONGEST_WAIT);
  }
}

// This page as it is by now; null when it cannot be had.
async function load() {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10000) });
    if (!answer.ok) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return null;
  }
}

// Puts what is new in the place of the old, and keeps what is open and where the focus is; whether there was anything new.
function show(fresh) {
  const before = document.querySelector("main"), after = fresh.querySelector("main");
  if (!after || before.dataset.state === after.dataset.state || before.querySelector("[aria-busy]")) return false;
  const focused = placeOf(document.activeElement, before);
  for (const details of before.querySelectorAll("details[open]")) {
    after.querySelector(`#${CSS.escape(details.closest("[id]").id)} details`)?.setAttribute("open", "");
  }
  before.replaceWith(after);
  document.title = fresh.title;
  prepare();
  if (focused) after.querySelector(focused)?.focus();
  say(after.querySelector("h1").textContent + (after.classList.contains("wide") ? ": updated" : ""));
  return true;
}

// A selector that finds the same element in the page shown anew; empty: the focus is elsewhere.
function placeOf(element, main) {
  if (!main.contains(element) || element === main) return "";
  const owner = element.closest("[id]");
  return `#${CSS.escape(owner.id)} ${element.localName}`;
}

function prepare() {
  linkCards();
  guardForms();
  localTimes();
  for (const item of document.querySelectorAll(".noscript")) item.hidden = true;
}

// A page that comes back from the browser's memory can be used again.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

prepare();
watch();
