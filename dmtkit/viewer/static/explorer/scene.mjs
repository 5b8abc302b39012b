// What a picture is made of: which layers there are, and whether the brush picks an element.

import { VOID } from "./weigh.mjs";

export const LAYERS = [
  { name: "image", title: "image", on: true, fade: 100 },
  { name: "truth", title: "truth", on: false, fade: 60 },
  { name: "y_A", title: "pseudo label y_A", on: false, fade: 60 },
  { name: "y_B", title: "prediction y_B", on: false, fade: 60 },
  { name: "case", title: "three cases", on: false, fade: 80 },
  { name: "weight", title: "weight w", on: true, fade: 75 },
  { name: "errors", title: "errors of y_A", on: false, fade: 100 },
];

export const isWrong = (scene, i) =>
  scene.labels.kept[i] && scene.image.truth[i] !== VOID && scene.image.truth[i] !== scene.labels.y_A[i];

// Whether the brush of the histogram leaves nothing out.
export const isWhole = (brush) => brush.low <= 0 && brush.high >= 1 && brush.cases.every(Boolean);

// Whether the brush takes an element in.
export function picked(brush, which, weight) {
  if (isWhole(brush)) return true;
  return which !== VOID && brush.cases[which] && weight >= brush.low && weight <= brush.high;
}
