// Everything known of one element, as a table that screen readers follow.

import { h } from "./dom.mjs";
import { formula, TOP } from "./weigh.mjs";

const share = (level) => (level / TOP).toFixed(3);

// Names and values of what is shown; `data` holds them unrounded, for whoever reads the page by program.
export function facts(scene, i, index, gammas, place) {
  const { image, labels, student, found } = scene;
  const name = (k) => index.classes[k] ?? "void";
  const kept = Boolean(labels.kept[i]);
  const truth = index.truth ? name(image.truth[i]) : "not known";
  const which = kept ? index.cases[found.which[i]].title : "no label kept";
  const p = student.p_B[i] / TOP;
  const why = formula(found.which[i], scene.rule, { p, c_A: labels.c_A[i] / TOP, ...gammas });
  const rows = [
    ["at", place],
    ["truth", truth],
    ["y_A, c_A", `${name(labels.y_A[i])}, ${share(labels.c_A[i])}${kept ? "" : " (not kept)"}`],
    ["y_B, c_B", `${name(student.y_B[i])}, ${share(student.c_B[i])}`],
    ["p_B", kept ? share(student.p_B[i]) : "–"],
    ["case", which],
    ["w", kept ? `${found.weight[i].toFixed(3)}` : "–"],
    ["why", why],
  ];
  const data = {
    element: i, truth: image.truth[i], yA: labels.y_A[i], cA: labels.c_A[i], yB: student.y_B[i], cB: student.c_B[i],
    pB: student.p_B[i], kept: +kept, case: found.which[i], w: found.weight[i],
  };
  return { rows, data };
}

export function readout() {
  const body = h("tbody");
  const table = h("table", { className: "dmt-readout" }, h("caption", {}, "Under the pointer"), body);
  const show = ({ rows, data }) => {
    Object.assign(table.dataset, data);
    body.replaceChildren(...rows.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value))));
  };
  const clear = (text) => {
    for (const key of Object.keys(table.dataset)) delete table.dataset[key];
    body.replaceChildren(h("tr", {}, h("td", { colSpan: 2 }, text)));
  };
  return { table, show, clear };
}

