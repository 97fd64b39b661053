// The theme, the state that swaps must keep, and the log of a job. HTMX does everything else.
"use strict";

const root = document.documentElement;
const stored = localStorage.getItem("theme");
if (stored) root.dataset.theme = stored;

function dark() {
  return root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
}

function toggleTheme() {
  root.dataset.theme = dark() ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function follow(log) {
  const source = new EventSource(log.dataset.events);
  source.addEventListener("message", (message) => {
    const event = JSON.parse(message.data);
    const line = document.createElement("li");
    const rest = Object.entries(event.data).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(" ");
    const bad = /failed|died|lost/.test(event.kind) ? " bad" : "";
    line.append(
      element("time", "", event.created_at.slice(11, 19)),
      element("span", `kind${bad}`, event.kind),
      element("span", "", [event.stage, rest].filter(Boolean).join(" ")),
    );
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(line);
    if (atEnd) log.scrollTop = log.scrollHeight;
  });
}

// A swap replaces elements, so this restores open details and the focus.
let open = new Set();
let focusWasInside = false;

function beforeSwap(event) {
  const target = event.detail.target;
  open = new Set([...target.querySelectorAll("details[open][id]")].map((it) => it.id));
  focusWasInside = target.contains(document.activeElement) && target !== document.activeElement;
}

function afterSwap(event) {
  if (event.detail.target.matches(".said")) showRefusal(event.detail.target);
  const form = event.detail.target.closest("form");
  if (form) showNeeded(form);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  tell(document.querySelector("[data-told]")?.dataset.told);
  if (!focusWasInside || document.activeElement !== document.body) return;
  focusWasInside = false;
  event.detail.elt.querySelector("button, a[href], summary, input")?.focus();
}

// Each fault of a form that was refused is written at its field, where the form shows it.
function showRefusal(place) {
  const form = place.closest("form");
  for (const old of form.querySelectorAll(".field-error")) old.remove();
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  const faults = [...place.querySelectorAll("[data-at]")].filter((fault) => writeAtField(form, fault));
  if (faults.length && !place.querySelector("[data-at]")) {
    place.querySelector(".problem p").textContent = `See the marked field${faults.length > 1 ? "s" : ""}.`;
  }
  const fresh = place.querySelector("[data-csrf]")?.dataset.csrf;
  if (fresh) {
    form.elements.csrf.value = fresh;
    document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRF-Token": fresh }));
  }
  const first = faults.length ? form.querySelector("[aria-invalid]") : place;
  first.scrollIntoView({ block: "center" });
  first.focus();
}

function writeAtField(form, fault) {
  const input = fieldAt(form, fault.dataset.at);
  if (!input) return false;
  unfold(input);
  if (!input.checkVisibility()) return false;
  // The label above is the subject; a sentence of its own needs one as well.
  const said = fault.dataset.message.replace(/^(Is|Has|Was) /, (verb) => `This ${verb.toLowerCase()}`);
  const note = element("p", "field-error", said);
  note.id = `${input.name}-error`;
  note.setAttribute("role", "alert");
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-errormessage", note.id);
  (input.closest(".pair") ?? input).after(note);
  fault.remove();
  return true;
}

// "config.selection.strata" is about the field "selection.strata", "budgets.0" about "budgets".
function fieldAt(form, location) {
  const parts = location.split(".");
  for (let end = parts.length; end > 0; end--) {
    for (let start = 0; start < end; start++) {
      const found = form.elements[parts.slice(start, end).join(".")];
      if (found instanceof HTMLElement && found.type !== "hidden") return found;
    }
  }
  return null;
}

function unfold(input) {
  for (let it = input.closest("details"); it; it = it.parentElement.closest("details")) it.open = true;
}

// Screen readers hear a state when it changes, not whenever the page is redrawn.
let lastTold = null;

function tell(words) {
  if (words === undefined || words === lastTold) return;
  if (lastTold !== null) document.getElementById("announcer").textContent = words;
  lastTold = words;
}

// The chosen method, or all ticked methods of a comparison.
function chosenMethods(form) {
  const method = form.elements["selection.method"];
  if (method) return [method.value];
  const boxes = form.querySelectorAll("[name^='selector.']:checked");
  return [...boxes].map((box) => box.name.slice("selector.".length));
}

function showNeeded(form) {
  const methods = chosenMethods(form);
  for (const part of form.querySelectorAll("[data-needed-by]")) {
    const by = part.dataset.neededBy.split(" ");
    part.hidden = !methods.some((method) => by.includes(method));
  }
  for (const part of form.querySelectorAll("[data-only-with]")) {
    const [name, value] = (part.dataset.onlyIf ?? "").split("=");
    part.hidden = !form.elements[part.dataset.onlyWith].value || (name && form.elements[name].value !== value);
  }
}

function tickWanted(form) {
  const method = form.elements["selection.method"].value;
  for (const part of form.querySelectorAll("[data-wanted-by]")) {
    const wanted = part.dataset.wantedBy.split(" ").includes(method);
    part.querySelector("[name^='use.']").checked = wanted;
  }
}

// Browsers give the clipboard to secure pages only; elsewhere the text is selected, ready to be copied.
async function copyText(button) {
  const source = document.getElementById(button.dataset.copy);
  getSelection().selectAllChildren(source);
  await navigator.clipboard?.writeText(source.textContent);
  button.textContent = navigator.clipboard ? "Copied" : "Selected: press Ctrl+C";
}

document.addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => copyText(button));
  }
  document.querySelector("[data-theme-toggle]")?.addEventListener("click", toggleTheme);
  for (const log of document.querySelectorAll("[data-events]")) follow(log);
  for (const form of document.forms) showNeeded(form);
  document.addEventListener("change", (event) => {
    const { name, form } = event.target;
    if (form) showNeeded(form);
    if (name === "selection.method") tickWanted(form);
  });
  tell(document.querySelector("[data-told]")?.dataset.told);
  const offline = document.getElementById("offline");
  document.body.addEventListener("htmx:beforeSwap", beforeSwap);
  document.body.addEventListener("htmx:afterSwap", afterSwap);
  document.body.addEventListener("htmx:sendError", () => { offline.hidden = false; });
  document.body.addEventListener("htmx:afterOnLoad", () => { offline.hidden = true; });
});

// The browser cannot show what is wrong with a field that is folded away.
addEventListener("invalid", (event) => unfold(event.target), true);
