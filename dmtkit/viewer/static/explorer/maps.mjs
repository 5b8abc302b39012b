// Pictures of pixels: every element is a pixel; layers are blended, the cases hatched.

import { hatch } from "./colours.mjs";
import { isWhole, isWrong, picked } from "./scene.mjs";
import { NEGATIVE, POSITIVE, VOID } from "./weigh.mjs";

const ERROR = [255, 60, 60];

const NO_LABEL = 0.6; // how much of a layer's opacity its grey has, so that the image stays to be seen

// A layer as a table of colours and the place in it of element i; -1 where the layer is empty.
function painter(name, { image, labels, student, found }, colours) {
  const classes = colours.classes;
  if (name === "image") return { table: image.rgb, at: (i) => 3 * i };
  if (name === "truth") return { table: classes, at: (i) => 3 * image.truth[i] };
  if (name === "y_A") return { table: classes, at: (i) => 3 * (labels.kept[i] ? labels.y_A[i] : VOID) };
  if (name === "y_B") return { table: classes, at: (i) => 3 * student.y_B[i] };
  if (name === "case") return { table: colours.cases, at: (i) => 3 * found.which[i] };
  if (name === "errors") return { table: ERROR, at: (i) => (isWrong({ image, labels }, i) ? 0 : -1) };
  const level = (i) => (found.which[i] === VOID ? 256 : Math.round(255 * found.weight[i]));
  return { table: colours.weights, at: (i) => 3 * level(i) };
}

function fill(scene, layers, colours, brush, paper) {
  const { width, height, found } = scene;
  const out = new ImageData(width, height);
  const pixels = out.data;
  for (let i = 0; i < pixels.length; i += 4) {
    pixels[i] = paper[0];
    pixels[i + 1] = paper[1];
    pixels[i + 2] = paper[2];
    pixels[i + 3] = 255;
  }
  const blend = (i, table, offset, share) => {
    for (let c = 0; c < 3; c++) pixels[4 * i + c] += share * (table[offset + c] - pixels[4 * i + c]);
  };
  for (const layer of layers.filter((one) => one.on && one.fade > 0)) {
    const { table, at } = painter(layer.name, scene, colours);
    for (let i = 0; i < width * height; i++) {
      const offset = at(i);
      const faint = found.which[i] === VOID && (layer.name === "weight" || layer.name === "case") ? NO_LABEL : 1;
      if (offset >= 0) blend(i, table, offset, (faint * layer.fade) / 100);
    }
  }
  if (isWhole(brush)) return out;
  for (let i = 0; i < width * height; i++)
    if (!picked(brush, found.which[i], found.weight[i])) blend(i, paper, 0, 0.85);
  return out;
}

function small(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

// The elements of one case as an opaque mask on transparent ground.
function maskOf(scene, which, brush) {
  const { width, height, found } = scene;
  const mask = new ImageData(width, height);
  for (let i = 0; i < width * height; i++)
    if (found.which[i] === which && picked(brush, which, found.weight[i])) mask.data[4 * i + 3] = 255;
  const canvas = small(width, height);
  canvas.getContext("2d").putImageData(mask, 0, 0);
  return canvas;
}

export function sizeOf(scene, room) {
  const scale = Math.min(room / scene.width, 560 / scene.height);
  return { width: Math.round(scene.width * scale), height: Math.round(scene.height * scale) };
}

export function draw(canvas, scene, { layers, colours, brush, paper }) {
  const pen = canvas.getContext("2d");
  const picture = small(scene.width, scene.height);
  picture.getContext("2d").putImageData(fill(scene, layers, colours, brush, paper), 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const shown = (name) => layers.some((layer) => layer.name === name && layer.on && layer.fade > 0);
  if (!shown("case") && !shown("weight")) return;
  for (const [which, kind] of [[POSITIVE, "cross"], ...(shown("case") ? [[NEGATIVE, "line"]] : [])]) {
    const over = small(canvas.width, canvas.height);
    const ink = over.getContext("2d");
    ink.imageSmoothingEnabled = false;
    ink.drawImage(maskOf(scene, which, brush), 0, 0, canvas.width, canvas.height);
    ink.globalCompositeOperation = "source-in";
    ink.fillStyle = hatch(ink, kind, "rgb(255 255 255 / 0.9)");
    ink.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(over, 0, 0);
  }
}

export function elementAt(scene, canvas, x, y) {
  const column = Math.floor((x / canvas.width) * scene.width);
  const row = Math.floor((y / canvas.height) * scene.height);
  if (column < 0 || row < 0 || column >= scene.width || row >= scene.height) return null;
  return row * scene.width + column;
}

export function boxOf(scene, canvas, i) {
  const [w, h] = [canvas.width / scene.width, canvas.height / scene.height];
  return [(i % scene.width) * w, Math.floor(i / scene.width) * h, w, h];
}

export function step(scene, i, dx, dy) {
  const x = Math.max(0, Math.min(scene.width - 1, (i % scene.width) + dx));
  const y = Math.max(0, Math.min(scene.height - 1, Math.floor(i / scene.width) + dy));
  return y * scene.width + x;
}

export const placeOf = (scene, i) => `pixel x ${i % scene.width}, y ${Math.floor(i / scene.width)}`;
