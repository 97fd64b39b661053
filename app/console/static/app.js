// The theme, uploads with progress, the log of a job. Everything else is HTMX.
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

function showProblem(place, problem) {
  const list = document.createElement("ul");
  for (const error of problem.errors ?? []) {
    list.append(element("li", "", `${error.location}: ${error.message}`));
  }
  const box = element("div", "problem", "");
  box.append(element("strong", "", problem.title), element("p", "", problem.detail), list);
  place.replaceChildren(box);
  place.focus();
}

function upload(form) {
  const request = new XMLHttpRequest();
  const state = form.querySelector("[data-upload-state]");
  const bar = form.querySelector("progress");
  const words = form.querySelector("[data-upload-words]");
  const button = form.querySelector("button[type=submit]");
  const data = new FormData();
  for (const [name, value] of new FormData(form)) {
    if (value instanceof File ? value.size : value.trim()) data.append(name, value);
  }
  const ended = (problem) => {
    state.hidden = true;
    button.disabled = false;
    showProblem(form.querySelector("[data-upload-problem]"), problem);
  };
  request.upload.addEventListener("progress", (event) => {
    bar.value = event.loaded / event.total;
    const part = Math.round((100 * event.loaded) / event.total);
    words.textContent = part < 100 ? `Uploading, ${part} %` : "Storing…";
  });
  request.addEventListener("load", () => {
    let answer = null;
    try { answer = JSON.parse(request.responseText); } catch { /* not ours: said below */ }
    if (request.status === 201) location.assign(`/console/datasets/${answer.id}`);
    else ended(answer ?? { title: "The upload failed", detail: `Status ${request.status}.` });
  });
  request.addEventListener("error", () =>
    ended({ title: "The upload was cut off", detail: "The server could not be reached." }));
  request.open("POST", "/v1/datasets");
  request.setRequestHeader("X-CSRF-Token", form.elements.csrf.value);
  data.delete("csrf");
  state.hidden = false;
  button.disabled = true;
  request.send(data);
}

function follow(log) {
  const source = new EventSource(log.dataset.events);
  source.addEventListener("message", (message) => {
    const event = JSON.parse(message.data);
    const line = document.createElement("li");
    const rest = Object.entries(event.data).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(" ");
    line.append(
      element("time", "", event.created_at.slice(11, 19)),
      element("span", "kind", event.kind),
      element("span", "", [event.stage, rest].filter(Boolean).join(" ")),
    );
    log.append(line);
    log.scrollTop = log.scrollHeight;
    if (/^job\.(succeeded|failed|cancelled)$/.test(event.kind) && log.dataset.ended) source.close();
  });
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelector("[data-theme-toggle]")?.addEventListener("click", toggleTheme);
  for (const form of document.querySelectorAll("form[data-upload]")) {
    form.addEventListener("submit", (event) => { event.preventDefault(); upload(form); });
  }
  for (const log of document.querySelectorAll("[data-events]")) follow(log);
  for (const choice of document.querySelectorAll("select[data-goes]")) {
    choice.addEventListener("change", () => choice.value && choice.form.requestSubmit());
  }
});
