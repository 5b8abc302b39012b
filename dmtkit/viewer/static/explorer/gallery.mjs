// Pictures of whole images: every element is a tile, with its case as a frame and its weight as a bar.

import { css, hatch, weightColour } from "./colours.mjs";
import { isWrong, picked } from "./scene.mjs";
import { NEGATIVE, POSITIVE, VOID } from "./weigh.mjs";

const TILE = 66; // CSS pixels a tile takes

export function sizeOf(scene, room) {
  scene.columns = Math.max(4, Math.floor(room / TILE));
  const side = Math.floor(room / scene.columns);
  return { width: side * scene.columns, height: side * Math.ceil(scene.order.length / scene.columns) };
}

const sideOf = (scene, canvas) => canvas.width / scene.columns;

const pictures = new WeakMap(); // of each phase's colours, the tiles drawn so far

function picture(scene, i) {
  const { rgb } = scene.image;
  if (!pictures.has(rgb)) pictures.set(rgb, []);
  return (pictures.get(rgb)[i] ??= paintTile(scene, i));
}

function paintTile(scene, i) {
  const { tile } = scene;
  const canvas = document.createElement("canvas");
  [canvas.height, canvas.width] = tile;
  const out = new ImageData(tile[1], tile[0]);
  const area = tile[0] * tile[1];
  for (let k = 0; k < area; k++) {
    out.data.set(scene.image.rgb.subarray(3 * (i * area + k), 3 * (i * area + k) + 3), 4 * k);
    out.data[4 * k + 3] = 255;
  }
  canvas.getContext("2d").putImageData(out, 0, 0);
  return canvas;
}

function tag(pen, text, x, y, size, colour, right) {
  pen.font = `600 ${size}px system-ui, sans-serif`;
  const width = pen.measureText(text).width + size * 0.5;
  const left = right ? x - width : x;
  pen.fillStyle = colour;
  pen.fillRect(left, y, width, size * 1.25);
  pen.fillStyle = "#000";
  pen.fillText(text, left + size * 0.25, y + size);
}

function drawTile(pen, scene, i, box, { on, fade, colours, names, index }) {
  const [x, y, side] = box;
  const { image, labels, student, found } = scene;
  const which = found.which[i];
  const edge = Math.max(3, side * 0.07);
  const inside = [x + edge + 1, y + edge + 1, side - 2 * edge - 2, side - 2 * edge - 2];
  if (on("image")) {
    pen.globalAlpha = fade("image");
    pen.imageSmoothingEnabled = false;
    pen.drawImage(picture(scene, i), ...inside);
  }
  if (on("case") || on("weight")) {
    pen.globalAlpha = on("case") ? fade("case") : 0.55;
    pen.lineWidth = edge;
    const frame = [x + edge / 2 + 1, y + edge / 2 + 1, side - edge - 2, side - edge - 2];
    pen.strokeStyle = which === VOID ? css(colours.void) : index.cases[which].colour;
    pen.strokeRect(...frame);
    if (which === NEGATIVE || which === POSITIVE) {
      pen.strokeStyle = hatch(pen, which === POSITIVE ? "cross" : "line", "rgb(0 0 0 / 0.75)", 5);
      pen.strokeRect(...frame);
    }
  }
  const [left, top, width, height] = inside;
  const size = Math.max(9, side * 0.14);
  if (on("weight") && which !== VOID) {
    pen.globalAlpha = fade("weight");
    const bar = size * 1.25;
    pen.fillStyle = "rgb(0 0 0 / 0.65)";
    pen.fillRect(left, top + height - bar, width, bar);
    pen.fillStyle = css(weightColour(colours, found.weight[i]));
    pen.fillRect(left, top + height - bar, width * found.weight[i], bar);
    pen.font = `600 ${size}px system-ui, sans-serif`;
    pen.fillStyle = "#fff";
    pen.strokeStyle = "#000";
    pen.lineWidth = 2.5;
    const text = found.weight[i].toFixed(2);
    pen.strokeText(text, left + 3, top + height - bar * 0.22);
    pen.fillText(text, left + 3, top + height - bar * 0.22);
  }
  const name = (k) => (k === VOID ? "?" : names[k].slice(0, 7));
  const colour = (k) => css(colours.classes.subarray(3 * k, 3 * k + 3));
  pen.globalAlpha = 0.9;
  if (on("y_A")) tag(pen, `A ${name(labels.y_A[i])}`, left, top, size, colour(labels.y_A[i]), false);
  if (on("y_B")) tag(pen, `B ${name(student.y_B[i])}`, left + width, top, size, colour(student.y_B[i]), true);
  if (on("truth")) tag(pen, `= ${name(image.truth[i])}`, left, top + size * 1.35, size, colour(image.truth[i]), false);
  if (on("errors") && isWrong(scene, i)) tag(pen, "✗ wrong", left + width, top + size * 1.35, size, "#ff8a80", true);
}

export function draw(canvas, scene, { layers, colours, brush, paper, index }) {
  const pen = canvas.getContext("2d");
  const layer = Object.fromEntries(layers.map((one) => [one.name, one]));
  const on = (name) => layer[name].on && layer[name].fade > 0;
  const fade = (name) => layer[name].fade / 100;
  const side = sideOf(scene, canvas);
  pen.globalAlpha = 1;
  pen.fillStyle = css(paper);
  pen.fillRect(0, 0, canvas.width, canvas.height);
  scene.order.forEach((i, at) => {
    const box = [(at % scene.columns) * side, Math.floor(at / scene.columns) * side, side];
    drawTile(pen, scene, i, box, { on, fade, colours, names: index.classes, index });
    pen.globalAlpha = 1;
    if (picked(brush, scene.found.which[i], scene.found.weight[i])) return;
    pen.globalAlpha = 0.85;
    pen.fillStyle = css(paper);
    pen.fillRect(...box, side);
    pen.globalAlpha = 1;
  });
}

export function elementAt(scene, canvas, x, y) {
  const side = sideOf(scene, canvas);
  const [column, row] = [Math.floor(x / side), Math.floor(y / side)];
  if (column < 0 || row < 0 || column >= scene.columns) return null;
  return scene.order[row * scene.columns + column] ?? null;
}

export function boxOf(scene, canvas, i) {
  const [at, side] = [scene.order.indexOf(i), sideOf(scene, canvas)];
  return [(at % scene.columns) * side, Math.floor(at / scene.columns) * side, side, side];
}

export function step(scene, i, dx, dy) {
  const at = scene.order.indexOf(i) + dx + dy * scene.columns;
  return scene.order[Math.max(0, Math.min(scene.order.length - 1, at))];
}

export const placeOf = (scene, i, index) => {
  const name = index.names[scene.ids[i]];
  return name ? `image ${scene.ids[i]} (${name})` : `image ${scene.ids[i]}`;
};
