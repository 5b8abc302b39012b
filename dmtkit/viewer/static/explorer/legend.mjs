// What the colours of the shown layers mean.

import { css, hatch, weightColour } from "./colours.mjs";
import { h } from "./dom.mjs";
import { VOID } from "./weigh.mjs";

// The classes that occur in what is shown, in their order.
export function classesIn(scenes, layers) {
  const arrays = { truth: (s) => s.image.truth, y_A: (s) => s.labels.y_A, y_B: (s) => s.student.y_B };
  const seen = new Set();
  for (const layer of layers.filter((one) => one.on && one.name in arrays))
    for (const scene of scenes) for (const k of arrays[layer.name](scene)) seen.add(k);
  seen.delete(VOID);
  return [...seen].sort((a, b) => a - b);
}

export function swatch(colour, kind) {
  const canvas = h("canvas", { width: 16, height: 12, className: "dmt-swatch" });
  const pen = canvas.getContext("2d");
  for (const style of [colour, ...(kind ? [hatch(pen, kind, "#fff", 6)] : [])]) {
    pen.fillStyle = style;
    pen.fillRect(0, 0, 16, 12);
  }
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

export function legend(index, colours) {
  const element = h("div", { className: "dmt-legend", role: "note", ariaLabel: "legend" });
  const stops = [0, 0.25, 0.5, 0.75, 1].map((w) => css(weightColour(colours, w))).join(", ");
  function draw(scenes, layers) {
    const on = (name) => layers.some((layer) => layer.name === name && layer.on && layer.fade > 0);
    const cases = index.cases.map((one, k) => h("span", {}, swatch(one.colour, [null, "line", "cross"][k]), one.title));
    const scale = h("span", { className: "dmt-scale", style: `background: linear-gradient(to right, ${stops})` });
    const classes = classesIn(scenes, layers).map((k) => h("span", {}, swatch(css(colours.classes.subarray(3 * k, 3 * k + 3))), index.classes[k]));
    element.replaceChildren(
      ...(on("weight") ? [h("span", {}, "w = 0", scale, "1")] : []),
      ...(on("case") || index.task !== "segmentation" ? cases : on("weight") ? [h("span", {}, swatch("rgb(0 34 78)", "cross"), "positive disagreement (hatched)")] : []),
      ...(on("weight") || on("case") ? [h("span", {}, swatch(css(colours.void)), "no label kept")] : []),
      ...classes,
    );
  }
  return { element, draw };
}
