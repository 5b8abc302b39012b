// Weights by case: three small histograms over one axis, and the brush across them.

import { css, hatch, weightColour } from "./colours.mjs";
import { checkbox, h, slider } from "./dom.mjs";
import { BINS } from "./summary.mjs";

const [WIDTH, ROW, GAP] = [330, 30, 18];
const HEIGHT = 3 * (ROW + GAP) + 2;

export const wholeBrush = () => ({ low: 0, high: 1, cases: [true, true, true] });

function describe(row, k, summary, index) {
  const share = summary.kept ? (100 * row.count) / summary.kept : 0;
  const mean = row.count ? `, mean w ${(row.weight / row.count).toFixed(2)}` : "";
  const right = row.known ? `, ${((100 * row.right) / row.known).toFixed(0)} % right` : "";
  return `${index.cases[k].title}: ${share.toFixed(1)} %${mean}${right}`;
}

function drawRow(pen, row, k, base, { index, brush }) {
  const most = Math.max(...row.bins, 1);
  row.bins.forEach((count, bin) => {
    const height = count ? Math.max(1.5, ROW * Math.sqrt(count / most)) : 0;
    const box = [(bin * WIDTH) / BINS + 0.5, base - height, WIDTH / BINS - 1, height];
    pen.globalAlpha = brush.cases[k] && (bin + 1) / BINS > brush.low && bin / BINS <= brush.high ? 1 : 0.2;
    pen.fillStyle = index.cases[k].colour;
    pen.fillRect(...box);
    if (k > 0) {
      pen.fillStyle = hatch(pen, k === 2 ? "cross" : "line", "rgb(255 255 255 / 0.7)", 6);
      pen.fillRect(...box);
    }
    pen.globalAlpha = 1;
  });
}

function brushByPointer(canvas, brush, onbrush) {
  let from = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return Math.round(100 * Math.max(0, Math.min(1, (event.clientX - box.left) / box.width))) / 100;
  };
  canvas.addEventListener("pointerdown", (event) => {
    from = at(event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (from === null) return;
    [brush.low, brush.high] = [from, at(event)].sort((a, b) => a - b);
    onbrush();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (from !== null && at(event) === from) Object.assign(brush, { low: 0, high: 1 }); // a click takes it away
    from = null;
    onbrush();
  });
}

export function histogram(index, colours, brush, onbrush) {
  const canvas = h("canvas", { width: 2 * WIDTH, height: 2 * HEIGHT, className: "dmt-histogram" });
  canvas.setAttribute("role", "img");
  brushByPointer(canvas, brush, onbrush);
  function draw(summary, ink) {
    const pen = canvas.getContext("2d");
    pen.setTransform(2, 0, 0, 2, 0, 0);
    pen.clearRect(0, 0, WIDTH, HEIGHT);
    pen.font = "11px system-ui, sans-serif";
    const said = summary.cases.map((row, k) => describe(row, k, summary, index));
    summary.cases.forEach((row, k) => {
      const base = (k + 1) * (ROW + GAP) - 2;
      pen.fillStyle = ink;
      pen.fillText(said[k], 0, base - ROW - 4);
      drawRow(pen, row, k, base, { index, brush });
      for (let x = 0; x < WIDTH; x++) {
        pen.fillStyle = css(weightColour(colours, x / (WIDTH - 1)));
        pen.fillRect(x, base, 1, 2);
      }
    });
    if (brush.low > 0 || brush.high < 1) {
      pen.strokeStyle = ink;
      pen.strokeRect(brush.low * WIDTH + 0.5, 0.5, Math.max(1, (brush.high - brush.low) * WIDTH - 1), HEIGHT - 1);
    }
    canvas.setAttribute("aria-label", `Histogram of weights by case. ${said.join(". ")}`);
  }
  return { canvas, draw };
}

export function brushControls(index, brush, onbrush) {
  const show = (v) => v.toFixed(2);
  const range = { min: 0, max: 1, step: 0.01, show };
  const low = slider("weights from", { ...range, value: 0 }, (v) => {
    brush.low = Math.min(v, brush.high);
    onbrush();
  });
  const high = slider("weights to", { ...range, value: 1 }, (v) => {
    brush.high = Math.max(v, brush.low);
    onbrush();
  });
  const boxes = index.cases.map((one, k) =>
    checkbox(one.title, true, (on) => {
      brush.cases[k] = on;
      onbrush();
    }),
  );
  const refresh = () => {
    low.set(brush.low);
    high.set(brush.high);
    boxes.forEach((box, k) => (box.input.checked = brush.cases[k]));
  };
  const reset = h("button", { type: "button", onclick: () => {
    Object.assign(brush, wholeBrush());
    onbrush();
  } }, "show all");
  const element = h("fieldset", {}, h("legend", {}, "Highlight"), ...boxes.map((box) => box.field), low.field, high.field, reset);
  return { element, refresh };
}
