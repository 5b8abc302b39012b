// Line and area charts as SVG. They know nothing of widgets.

import { area, bands, line, scale, stack, ticks, trainings } from "./series.mjs";

const SVG = "http://www.w3.org/2000/svg";
const EDGE = { left: 40, right: 6, top: 8, bottom: 18 };
export const DASHES = { B: "5 3" };

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Hatches of the three cases, so that they differ without colour; ids must be unique in the page.
function hatches(cases, id) {
  const marks = { "//": "M0,6L6,0", xx: "M0,6L6,0M0,0L6,6" };
  return svg("defs", {}, ...cases.map(({ key, colour, hatch }) => svg(
    "pattern", { id: `${id}-${key}`, width: 6, height: 6, patternUnits: "userSpaceOnUse" },
    svg("rect", { width: 6, height: 6, fill: colour }),
    svg("path", { d: marks[hatch] ?? "", stroke: "#fff", "stroke-width": 0.9 }),
  )));
}

// Axes with their numbers and the names of the methods; what is drawn in it goes between the two.
function frame({ width, height, points, steps, low, high, percent }) {
  const marks = ticks(low, high, 4);
  const x = scale([0, Math.max(1, steps)], [EDGE.left, width - EDGE.right]);
  const y = scale([marks[0], marks.at(-1)], [height - EDGE.bottom, EDGE.top]);
  const below = [];
  const above = [];
  for (const value of marks) {
    below.push(svg("line", { class: "dmt-grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }));
    below.push(svg("text", { x: EDGE.left - 4, y: y(value) + 3.5, "text-anchor": "end" }, `${value}${percent ? " %" : ""}`));
  }
  for (const value of ticks(0, steps, width < 300 ? 2 : 4).filter((value) => value <= steps)) {
    const anchor = x(value) > width - 30 ? "end" : value ? "middle" : "start";
    below.push(svg("text", { x: x(value), y: height - 5, "text-anchor": anchor }, `${value}`));
  }
  for (const { method, start, end, phases } of bands(points)) {
    for (const at of phases.slice(1)) {
      below.push(svg("line", { class: "dmt-phase", x1: x(at), x2: x(at), y1: EDGE.top, y2: height - EDGE.bottom }));
    }
    if (start) below.push(svg("line", { class: "dmt-edge", x1: x(start), x2: x(start), y1: EDGE.top, y2: height - EDGE.bottom }));
    if (x(end) - x(start) > 6.5 * method.length + 6) {
      above.push(svg("text", { class: "dmt-name", x: x(start) + 4, y: EDGE.top + 9 }, method));
    }
  }
  return { x, y, below, above };
}

export const ink = (colour) => (!colour || colour === "#000000" ? "currentColor" : colour);

function strokes(points, key, { x, y }, colours) {
  const found = [];
  for (const part of trainings(points)) {
    const pairs = part.filter((point) => key in point).map((point) => [point.x, point[key]]);
    if (!pairs.length) continue;
    const { method, model } = part[0];
    found.push(svg("path", { class: "dmt-line", d: line(pairs, x, y), stroke: ink(colours[method]), "stroke-dasharray": DASHES[model] ?? "" }));
    if (pairs.length === 1) found.push(svg("circle", { cx: x(pairs[0][0]), cy: y(pairs[0][1]), r: 1.8, fill: ink(colours[method]) }));
  }
  return found;
}

function range(values, { low = null, high = null } = {}) {
  const found = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  return { low: low ?? found[0], high: high ?? found[1] };
}

const assemble = ({ below, above }, ...middle) => [...below, ...middle, ...above];

export function drawLines({ width, height, points, steps, key, colours, low, high }) {
  const span = range(points.filter((point) => key in point).map((point) => point[key]), { low, high });
  const made = frame({ width, height, points, steps, ...span });
  return assemble(made, ...strokes(points, key, made, colours));
}

// Held-out metric as lines, test metric as dots at the ends of phases.
export function drawMetric({ width, height, points, tests, steps, colours }) {
  const values = [...points.filter((point) => "val" in point).map((point) => point.val), ...tests.map((test) => test.value)];
  const span = values.length ? range(values, values.length > 1 ? {} : { low: values[0] - 5, high: values[0] + 5 }) : { low: 0, high: 100 };
  const made = frame({ width, height, points, steps, percent: true, low: Math.max(0, span.low), high: Math.min(100, span.high) });
  const dots = tests.map(({ x, value, method }) =>
    svg("circle", { class: "dmt-test", cx: made.x(x), cy: made.y(value), r: 3.2, fill: ink(colours[method]) }));
  return assemble(made, ...strokes(points, "val", made, colours), ...dots);
}

export function drawShares({ width, height, points, steps, cases, id }) {
  const made = frame({ width, height, points, steps, low: 0, high: 1 });
  const areas = [];
  for (const part of trainings(points)) {
    const found = stack(part, cases.map(({ key }) => key));
    for (const { key, low, high } of found.layers) {
      if (found.steps.length < 2) continue;
      areas.push(svg("path", { d: area(found.steps, low, high, made.x, made.y), fill: `url(#${id}-${key})` }));
    }
  }
  return assemble(made, hatches(cases, id), ...areas);
}
