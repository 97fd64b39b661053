// The values of plots, under the pointer and by the arrow keys. Each mark's <title> has its words.
"use strict";

function wordsOf(mark) {
  return mark.querySelector("title").textContent;
}

// One mark for each text, from left to right and from the bottom up.
function marksOf(plot) {
  const found = new Map();
  for (const title of plot.querySelectorAll(":is(path, circle) > title")) {
    const mark = title.parentElement;
    const box = mark.getBoundingClientRect();
    const place = { mark, x: box.x + box.width / 2, y: box.y + box.height / 2 };
    if (!found.has(title.textContent)) found.set(title.textContent, place);
  }
  return [...found.values()].sort((a, b) => a.x - b.x || b.y - a.y);
}

function read(plot, mark) {
  plot.querySelector(".read")?.classList.remove("read");
  mark?.classList.add("read");
  plot.closest("figure").querySelector(".readout").textContent = mark ? wordsOf(mark) : "";
}

function under(plot, event) {
  const own = event.target.closest("path, circle");
  if (own?.querySelector("title")) return own;
  let nearest = null;
  for (const place of marksOf(plot)) {
    const distance = Math.hypot(place.x - event.clientX, place.y - event.clientY);
    if (distance < (nearest?.distance ?? 40)) nearest = { ...place, distance };
  }
  return nearest?.mark;
}

const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1 };

document.addEventListener("pointermove", (event) => {
  const plot = event.target.closest?.(".plot");
  if (plot) read(plot, under(plot, event));
});
document.addEventListener("focusin", (event) => {
  if (event.target.matches(".plot") && !event.target.querySelector(".read")) {
    read(event.target, marksOf(event.target)[0]?.mark);
  }
});
document.addEventListener("keydown", (event) => {
  const plot = event.target;
  if (!plot.matches?.(".plot")) return;
  const places = marksOf(plot);
  const now = plot.querySelector(".read");
  const at = now ? places.findIndex(({ mark }) => wordsOf(mark) === wordsOf(now)) : -1;
  const next = { Home: 0, End: places.length - 1 }[event.key] ?? at + STEPS[event.key];
  if (Number.isNaN(next)) return;
  event.preventDefault();
  read(plot, places[Math.max(0, Math.min(places.length - 1, next))]?.mark);
});
