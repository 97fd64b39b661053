// Uploads with progress, and the map from a file's columns to ours.
"use strict";

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

// The fields called options.… as one object: options.columns.user_id is {columns: {user_id: …}}.
function optionsOf(fields) {
  const options = {};
  for (const [name, value] of fields) {
    const [, ...path] = name.split(".");
    const last = path.pop();
    const place = path.reduce((inner, part) => (inner[part] ??= {}), options);
    place[last] = value;
  }
  return options;
}

function upload(form) {
  const request = new XMLHttpRequest();
  const state = form.querySelector("[data-upload-state]");
  const bar = form.querySelector("progress");
  const words = form.querySelector("[data-upload-words]");
  const button = form.querySelector("button[type=submit]");
  const data = new FormData();
  const given = [...new FormData(form)].filter(([, value]) => (value instanceof File ? value.size : value.trim()));
  const options = given.filter(([name]) => name.startsWith("options."));
  for (const [name, value] of given) {
    if (name !== "csrf" && !name.startsWith("options.")) data.append(name, value);
  }
  if (options.length) data.append("options", JSON.stringify(optionsOf(options)));
  const ended = (problem) => {
    state.hidden = true;
    button.disabled = false;
    showProblem(form.querySelector("[data-upload-problem]"), problem);
  };
  request.upload.addEventListener("progress", (event) => {
    const part = Math.floor((100 * event.loaded) / event.total);
    bar.value = event.loaded / event.total;
    bar.textContent = `${part} %`;
    // Screen readers would read every step, so the text changes in steps of ten.
    const told = part < 100 ? `Uploading, ${part - (part % 10)} %` : "Storing…";
    if (words.textContent !== told) words.textContent = told;
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
  form.querySelector("[data-upload-problem]").replaceChildren();
  state.hidden = false;
  button.disabled = true;
  request.send(data);
}

const FIRST_BYTES = 65536;

// Reads the columns of a plain text file from its first line; other files give none.
async function columnsOf(file) {
  if (/\.(gz|zst|parquet)$/i.test(file.name)) return [];
  const [line] = (await file.slice(0, FIRST_BYTES).text()).split(/\r?\n/, 1);
  if (line.startsWith("{")) {
    try { return Object.keys(JSON.parse(line)); } catch { return []; }
  }
  const cells = line.replace(/^\uFEFF/, "").split(line.includes("\t") ? "\t" : ",");
  return cells.map((cell) => cell.trim().replace(/^"|"$/g, "").replace(/:(token|float)(_seq)?$/, ""));
}

async function look(form) {
  const files = ["interactions", "items"].map((name) => form.elements[name].files[0]);
  const [first, second] = await Promise.all(files.map((file) => (file ? columnsOf(file) : [])));
  const found = [...new Set([...first, ...second])];
  form.querySelector("datalist").replaceChildren(...found.map((name) => new Option(name)));
  const lacks = (columns, ...names) => columns.length && !names.some((name) => columns.includes(name));
  const missing = [
    lacks(first, "user_id") && "user_id",
    lacks(first, "item_id") && "item_id",
    lacks(first, "timestamp", "position") && "timestamp or position",
    lacks(second, "title") && "title",
  ].filter(Boolean);
  if (!missing.length) return;
  form.querySelector("[data-columns]").open = true;
  form.querySelector("[data-columns-found]").textContent =
    `The files have ${found.join(", ")}. Enter which of them is ${missing.join(", ")}.`;
}

for (const form of document.querySelectorAll("form[data-upload]")) {
  form.addEventListener("submit", (event) => { event.preventDefault(); upload(form); });
  for (const input of form.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => look(form));
  }
}
