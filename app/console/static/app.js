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
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  tell(document.querySelector("[data-told]")?.dataset.told);
  if (!focusWasInside || document.activeElement !== document.body) return;
  focusWasInside = false;
  event.detail.elt.querySelector("button, a[href], summary, input")?.focus();
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
  for (const form of document.querySelectorAll("form[data-once]")) {
    form.addEventListener("submit", (event) => {
      // Only the button's own click sends the form twice; HTMX's requests for estimates do not.
      if (event.submitter) event.submitter.disabled = true;
    });
  }
  tell(document.querySelector("[data-told]")?.dataset.told);
  const offline = document.getElementById("offline");
  document.body.addEventListener("htmx:beforeSwap", beforeSwap);
  document.body.addEventListener("htmx:afterSwap", afterSwap);
  document.body.addEventListener("htmx:sendError", () => { offline.hidden = false; });
  document.body.addEventListener("htmx:afterOnLoad", () => { offline.hidden = true; });
});

// A form can be sent again after the browser goes back to it.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("form[data-once] button:disabled")) button.disabled = false;
});
