// The page /docs: a search over the operations, and forms to try them. The token stays in this page's memory.

const filter = document.querySelector("#filter");
const operations = [...document.querySelectorAll(".op")];
let token = "";

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function search() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const operation of operations) {
    const text = operation.firstElementChild.textContent.toLowerCase();
    operation.hidden = !words.every((word) => text.includes(word));
  }
  for (const section of document.querySelectorAll("section")) {
    const own = [...section.querySelectorAll(".op")];
    section.hidden = words.length > 0 && own.every((operation) => operation.hidden);
  }
}

function labelled(text, input) {
  return element("label", {}, text, input);
}

function build(place) {
  const told = JSON.parse(place.dataset.operation);
  const inputs = told.parameters.map((parameter) => {
    return { ...parameter, input: element("input", { required: parameter.required }) };
  });
  const isFile = told.type !== "" && told.body === "";
  const body = isFile ? element("input", { type: "file" }) : element("textarea", { value: told.body, spellcheck: false });
  const output = element("pre", { tabIndex: 0, hidden: true });
  output.setAttribute("aria-live", "polite");
  const form = element("form", {}, ...inputs.map(({ name, required, input }) => labelled(required ? `${name} *` : name, input)));
  if (told.type !== "") form.append(labelled(told.type, body));
  form.append(element("button", { textContent: "Send" }), output);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(told, inputs, isFile ? body.files[0] : body.value, output);
  });
  place.append(element("h4", { textContent: "Try it" }), form);
}

async function send(told, inputs, body, output) {
  const query = new URLSearchParams();
  const headers = new Headers(token === "" ? {} : { Authorization: `Bearer ${token}` });
  let path = told.path;
  for (const { name, in: place, input } of inputs) {
    if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value !== "" && place === "query") query.append(name, input.value);
    else if (input.value !== "") headers.set(name, input.value);
  }
  if (told.type !== "" && body) headers.set("Content-Type", told.type);
  headers.set("Accept", "application/json, */*;q=0.5");
  const target = query.size > 0 ? `${path}?${query}` : path;
  output.hidden = false;
  output.textContent = "…";
  const started = performance.now();
  try {
    const response = await fetch(target, { method: told.verb, headers, body: told.type === "" ? undefined : body || undefined });
    const shown = await read(response);
    output.textContent = `${response.status} ${response.statusText}, ${Math.round(performance.now() - started)} ms\n\n${shown}`;
  } catch (error) {
    output.textContent = `No answer: ${error.message}`;
  }
}

async function read(response) {
  const type = response.headers.get("Content-Type") ?? "";
  if (type.includes("json")) return JSON.stringify(await response.json(), null, 2);
  if (type.startsWith("text/") || type.endsWith("jwt")) return response.text();
  const { size } = await response.blob();
  return size > 0 ? `${type}, ${size} bytes` : "";
}

document.querySelector("#search").hidden = false;
filter.addEventListener("input", search);
const account = element("input", { type: "password", autocomplete: "off" });
account.addEventListener("input", () => (token = account.value.trim()));
document.querySelector("#account").append(labelled("Token for trials", account));
for (const place of document.querySelectorAll(".trial")) {
  place.closest("details").addEventListener("toggle", () => place.childElementCount === 0 && build(place));
}
