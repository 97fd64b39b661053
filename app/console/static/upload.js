// Uploads with progress, and the map from a file's columns to ours.
"use strict";

// Says what was refused as the other forms do: at each field, and what is at none of them above the form.
function showProblem(place, problem) {
  const box = element("div", "problem", "");
  box.setAttribute("role", "alert");
  const list = document.createElement("ul");
  for (const error of problem.errors ?? []) {
    const fault = element("li", "", `${error.location}: ${error.message}`);
    fault.dataset.at = error.location;
    fault.dataset.message = `${error.message[0].toUpperCase()}${error.message.slice(1)}.`;
    list.append(fault);
  }
  box.append(element("strong", "", problem.title), element("p", "", problem.detail), list);
  place.replaceChildren(box);
  showRefusal(place);
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

const ADDRESSES = /_addresses$/;

// The request for the fields that were filled: a form with files, or JSON with addresses.
function bodyOf(given) {
  const options = given.filter(([name]) => name.startsWith("options."));
  const others = given.filter(([name]) => name !== "csrf" && !name.startsWith("options."));
  if (!others.some(([name]) => ADDRESSES.test(name))) {
    const data = new FormData();
    for (const [name, value] of others) data.append(name, value);
    if (options.length) data.append("options", JSON.stringify(optionsOf(options)));
    return data;
  }
  const body = options.length ? { options: optionsOf(options) } : {};
  for (const [name, value] of others) {
    body[name] = ADDRESSES.test(name) ? value.split("\n").map((line) => line.trim()).filter(Boolean) : value;
  }
  return JSON.stringify(body);
}

function upload(form) {
  const request = new XMLHttpRequest();
  const state = form.querySelector("[data-upload-state]");
  const bar = form.querySelector("progress");
  const words = form.querySelector("[data-upload-words]");
  const button = form.querySelector("button[type=submit]");
  const given = [...new FormData(form)].filter(([, value]) => (value instanceof File ? value.name : value.trim()));
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
  const file = given.find(([, value]) => value instanceof File);
  const address = given.find(([name]) => ADDRESSES.test(name));
  if (file && address) {
    const message = `cannot stand beside the file ${file[1].name}: give files or addresses, not both`;
    showProblem(form.querySelector("[data-upload-problem]"), {
      title: "Files and addresses", detail: "", errors: [{ location: address[0], message }],
    });
    return;
  }
  const body = bodyOf(given);
  request.open("POST", form.getAttribute("action"));
  if (typeof body === "string") request.setRequestHeader("Content-Type", "application/json");
  request.setRequestHeader("X-CSRF-Token", form.elements.csrf.value);
  form.querySelector("[data-upload-problem]").replaceChildren();
  state.hidden = false;
  button.disabled = true;
  request.send(body);
}

const FIRST_BYTES = 65536;

// A name without case and marks, as the server compares names of columns.
function plain(name) {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");
}

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
  const files = ["interactions", "items"].map((name) => form.elements[name]?.files[0]);
  const [first, second] = await Promise.all(files.map((file) => (file ? columnsOf(file) : [])));
  const found = [...new Set([...first, ...second])];
  form.querySelector("datalist").replaceChildren(...found.map((name) => new Option(name)));
  const known = JSON.parse(form.querySelector("[data-known]").dataset.known);
  const means = (column, name) => plain(column) === plain(name) || known[name]?.includes(plain(column));
  const named = (columns) => columns.some((column) => Object.keys(known).some((name) => means(column, name)));
  // A first line without any known name that has a number is no header: the server looks at the values.
  const lacks = (columns, ...names) => columns.length
    && (named(columns) || !columns.some((cell) => cell && !Number.isNaN(Number(cell))))
    && !names.some((name) => columns.some((column) => means(column, name)));
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
