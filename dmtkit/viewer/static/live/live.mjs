// The live view of training: four charts and a line of words, kept up to date by messages of the kernel.

import { DASHES, drawLines, drawMetric, drawShares, ink, svg } from "./charts.mjs";
import { chartText, merge, statusText, worthSaying } from "./series.mjs";

const HEIGHT = 132;
let views = 0;

function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Once for each widget, whether it is in sight or not: what the kernel sends is added to what the page knows.
export function initialize({ model }) {
  model.on("msg:custom", (message) => {
    if (message.kind !== "news") return;
    model.set("points", merge(model.get("points"), message.points, message.void));
    model.set("tests", merge(model.get("tests"), message.tests, message.void));
    model.set("status", message.status);
  });
}

export function render({ model, el }) {
  const id = `dmt-live-${(views += 1)}`;
  const setup = model.get("setup");
  const words = h("p", { class: "dmt-words" });
  const aloud = h("p", { class: "dmt-aloud", role: "status", "aria-live": "polite" });
  const bar = h("progress", { max: 1, value: 0, "aria-label": "training steps done" });
  const box = h("section", { class: "dmt-live", "aria-label": "Training, live" }, words, bar, aloud);
  const grid = h("div", { class: "dmt-charts" });
  box.append(grid);
  el.append(box);

  const charts = [
    chart("Loss (weighted)", (sight) => drawLines({ ...sight, key: "loss", low: 0 }), (points) => chartText("Loss", points, "loss")),
    chart(setup.held_out ? `Held-out ${setup.metric} (line), test ${setup.metric} (dots)` : `Test ${setup.metric} after each phase (dots)`, drawMetric, (points, tests) => {
      const shown = (value) => `${value.toFixed(1)} %`;
      const test = chartText(`test ${setup.metric}`, tests, "value", shown);
      return setup.held_out ? `${chartText(`held-out ${setup.metric}`, points, "val", shown)}; ${test}` : test;
    }),
    chart("Shares of the three cases", (sight) => drawShares({ ...sight, cases: setup.cases, id }),
      (points) => setup.cases.map(({ key, title }) => chartText(title, points, `share_${key}`)).join("; ")),
    chart("Mean weight w", (sight) => drawLines({ ...sight, key: "mean_weight", low: 0, high: 1 }),
      (points) => chartText("mean weight", points, "mean_weight")),
  ];

  const key = h("p", { class: "dmt-key" });
  box.append(key);

  function chart(title, draw, describe) {
    const picture = svg("svg", { role: "img", height: HEIGHT });
    grid.append(h("figure", {}, h("figcaption", {}, title), picture));
    return { picture, draw, describe };
  }

  // What colours, dashes and hatches mean.
  function explain(methods) {
    const entry = (text, ...marks) => h("span", {}, svg("svg", { width: 18, height: 10, "aria-hidden": "true" }, ...marks), text);
    const stroke = (colour, dashes = "") => svg("line", { x1: 0, x2: 18, y1: 5, y2: 5, stroke: ink(colour), "stroke-width": 2, "stroke-dasharray": dashes });
    key.replaceChildren(
      ...methods.map((method) => entry(method, stroke(setup.colours[method]))),
      ...(setup.two_models ? [entry("model A", stroke()), entry("model B", stroke("", DASHES.B))] : []),
      ...setup.cases.map(({ key, title }) => entry(title, svg("rect", { width: 18, height: 10, fill: `url(#${id}-${key})` }))),
    );
  }

  let said = null;
  let explained = null;
  function update() {
    const [points, tests, status] = ["points", "tests", "status"].map((name) => model.get(name));
    words.textContent = statusText(status, points, tests, setup);
    bar.max = status.steps || 1;
    bar.value = status.step || 0;
    if (worthSaying(status, said, Date.now())) {
      aloud.textContent = words.textContent;
      said = { status, at: Date.now() };
    }
    const methods = [...new Set(points.map((point) => point.method))];
    if (methods.join() !== explained) explain(methods);
    explained = methods.join();
    const width = Math.max(200, charts[0].picture.parentElement.clientWidth);
    const steps = Math.max(status.steps || 0, points.at(-1)?.x ?? 0);
    for (const { picture, draw, describe } of charts) {
      picture.setAttribute("width", width);
      picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
      picture.setAttribute("aria-label", describe(points, tests));
      picture.replaceChildren(...draw({ width, height: HEIGHT, points, tests, steps, colours: setup.colours }));
    }
  }

  let waiting = 0;
  const soon = () => {
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      update();
    });
  };
  const watcher = new ResizeObserver(soon);
  watcher.observe(grid);
  for (const name of ["points", "tests", "status"]) model.on(`change:${name}`, soon);
  update();
  return () => {
    watcher.disconnect();
    for (const name of ["points", "tests", "status"]) model.off(`change:${name}`, soon);
  };
}
