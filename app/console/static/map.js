// The map of samples: a box that is dragged over it lists what lies there; its colours can be chosen.
"use strict";

const AROUND = 0.04; // half of the box around a point that is clicked
const SVG = "http://www.w3.org/2000/svg";
let began = null;

// Where the pointer is on the map: from 0 to 1, upwards.
function placeOn(svg, event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return { x: at.x, y: 1 - at.y };
}

function mapOf(event) {
  return event.target.closest?.(".map svg");
}

function draw(svg, sides) {
  let box = svg.querySelector("rect");
  if (!box) box = svg.appendChild(document.createElementNS(SVG, "rect"));
  box.setAttribute("x", sides.left);
  box.setAttribute("y", 1 - sides.top);
  box.setAttribute("width", sides.right - sides.left);
  box.setAttribute("height", sides.top - sides.bottom);
}

function sidesOf(from, to) {
  const wide = Math.abs(from.x - to.x) > 0.01 || Math.abs(from.y - to.y) > 0.01 ? 0 : AROUND;
  return {
    left: Math.min(from.x, to.x) - wide, right: Math.max(from.x, to.x) + wide,
    bottom: Math.min(from.y, to.y) - wide, top: Math.max(from.y, to.y) + wide,
  };
}

function list(svg, sides) {
  draw(svg, sides);
  const form = document.getElementById("map-box");
  for (const [side, value] of Object.entries(sides)) form.elements[side].value = value.toFixed(4);
  form.requestSubmit();
}

document.addEventListener("pointerdown", (event) => {
  const svg = mapOf(event);
  if (svg) began = { svg, at: placeOn(svg, event) };
});
document.addEventListener("pointermove", (event) => {
  if (began && event.buttons) draw(began.svg, sidesOf(began.at, placeOn(began.svg, event)));
});
document.addEventListener("pointerup", (event) => {
  if (began) list(began.svg, sidesOf(began.at, placeOn(began.svg, event)));
  began = null;
});
document.addEventListener("pointercancel", () => { began = null; });
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches?.(".map .plot")) return;
  const mark = event.target.querySelector("circle.read");
  if (!mark) return;
  const at = { x: mark.cx.baseVal.value, y: 1 - mark.cy.baseVal.value };
  list(event.target.querySelector("svg"), sidesOf(at, at));
});
document.addEventListener("change", (event) => {
  if (event.target.id !== "map-colour") return;
  document.querySelector(".map svg").dataset.colour = event.target.value;
  for (const words of document.querySelectorAll("[data-legend]")) {
    words.hidden = words.dataset.legend !== event.target.value;
  }
});
