// The map of samples: an outline that is drawn on it lists what lies inside; its colours can be chosen.
"use strict";

const AROUND = 0.04; // half of the box around a point that is clicked
const STEP = 0.01; // the least distance between two corners of an outline
const MOST_CORNERS = 300;
const SVG = "http://www.w3.org/2000/svg";
let drawn = null; // the map that the pointer draws on, and the corners so far

// Where the pointer is on the map: from 0 to 1, upwards.
function placeOn(svg, event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return { x: at.x, y: 1 - at.y };
}

function far(from, to) {
  return Math.hypot(from.x - to.x, from.y - to.y) > STEP;
}

function show(svg, corners) {
  let outline = svg.querySelector("polygon");
  if (!outline) outline = svg.appendChild(document.createElementNS(SVG, "polygon"));
  outline.setAttribute("points", corners.map((at) => `${at.x},${1 - at.y}`).join(" "));
}

function list(svg, corners) {
  show(svg, corners);
  const form = document.getElementById("map-area");
  form.elements.area.value = corners.map((at) => `${at.x.toFixed(3)},${at.y.toFixed(3)}`).join(" ");
  form.requestSubmit();
}

function around(at) {
  const { x, y } = at;
  return [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([dx, dy]) => ({ x: x + dx * AROUND, y: y + dy * AROUND }));
}

document.addEventListener("pointerdown", (event) => {
  const svg = event.target.closest?.(".map svg");
  if (svg && event.button === 0) drawn = { svg, corners: [placeOn(svg, event)] };
});
document.addEventListener("pointermove", (event) => {
  if (!drawn || !event.buttons) return;
  const at = placeOn(drawn.svg, event);
  if (!far(drawn.corners.at(-1), at)) return;
  drawn.corners.push(at);
  if (drawn.corners.length > MOST_CORNERS) drawn.corners = drawn.corners.filter((_, n) => n % 2 === 0);
  show(drawn.svg, drawn.corners);
});
document.addEventListener("pointerup", () => {
  if (!drawn) return;
  const { svg, corners } = drawn;
  drawn = null;
  list(svg, corners.length < 3 ? around(corners[0]) : corners);
});
document.addEventListener("pointercancel", () => {
  drawn?.svg.querySelector("polygon")?.remove();
  drawn = null;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches?.(".map .plot")) return;
  const mark = event.target.querySelector("circle.read");
  if (!mark) return;
  const at = { x: mark.cx.baseVal.value, y: 1 - mark.cy.baseVal.value };
  list(event.target.querySelector("svg"), around(at));
});
document.addEventListener("change", (event) => {
  if (event.target.id !== "map-colour") return;
  document.querySelector(".map svg").dataset.colour = event.target.value;
  for (const words of document.querySelectorAll("[data-legend]")) {
    words.hidden = words.dataset.legend !== event.target.value;
  }
});
