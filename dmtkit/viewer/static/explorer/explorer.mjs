// The weight-map explorer: what is chosen (state), what follows from it (scenes), and when it is drawn.

import { palette, rgb } from "./colours.mjs";
import { checkbox, h, select, slider } from "./dom.mjs";
import { legend } from "./legend.mjs";
import { brushControls, wholeBrush } from "./histogram.mjs";
import { panel } from "./panel.mjs";
import { exportPng } from "./png.mjs";
import { LAYERS } from "./scene.mjs";
import { Absent, store } from "./store.mjs";
import { orderTiles, summarise } from "./summary.mjs";
import { thumbnails } from "./thumbnails.mjs";
import { choiceOf, viewOf } from "./views.mjs";
import { weigh } from "./weigh.mjs";

const SORTS = [["stored", "as drawn"], ["disagreement", "most disagreement"], ["weight", "lowest weight"], ["error", "most label errors"]];
const HELP = "Keys: Tab moves between the controls; in the picture arrow keys move the pointer (Shift: by ten) and Enter holds it; " +
  "1–7 switch layers; comma and full stop change the phase.";

export function render({ model, el }) {
  const index = model.get("index");
  const colours = palette(index);
  const data = store(index, model, () => {
    samples.renew();
    schedule();
  });
  const [gamma1, gamma2] = index.gamma;
  const state = { sample: index.samples[0].id, sort: "stored", gamma1, gamma2, cursor: null, compare: false };
  const layers = LAYERS.filter((layer) => index.truth || !["truth", "errors"].includes(layer.name)).map((layer) => ({ ...layer }));
  if (!index.pixels) layers.find((layer) => layer.name === "case").on = true;
  const brush = wholeBrush();
  let [turn, since, told] = [0, null, ""];

  // ---- what is on the screen -------------------------------------------------------------------------------------
  const root = h("div", { className: "dmt-explorer" });
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab's shortcuts end here
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", `weight explorer of ${index.title}`);
  const status = h("p", { className: "dmt-note", role: "status" });
  const notes = { sort: "", save: "" };
  const note = (of, text) => {
    notes[of] = text;
    const all = Object.values(notes).filter(Boolean).join(" ");
    if (status.textContent !== all) status.textContent = all;
  };
  const firstChoice = choiceOf(viewOf(index.views, {}));
  const refresh = (event) => schedule(event);
  const controls = { onchoice: refresh, onbrush: refresh, oncursor: (id) => {
    state.cursor = id;
    point();
  } };
  const panels = [panel(index, colours, { ...firstChoice }, brush, controls)];
  const other = () => ({ ...panels[0].choice, phase: panels[0].phases()[0] }); // the first phase beside the last
  const brushing = brushControls(index, brush, refresh);
  const key = legend(index, colours);
  const stage = h("div", { className: "dmt-stage" }, panels[0].element);
  const gammas = [1, 2].map((k) =>
    slider(`γ${"₁₂"[k - 1]} ${["agreement", "negative disagreement"][k - 1]}`, { min: 0, max: 10, step: 0.25, value: index.gamma[k - 1] }, (v) => {
      state[`gamma${k}`] = v;
      refresh();
    }),
  );
  const resetGammas = h("button", { type: "button", onclick: () => {
    [state.gamma1, state.gamma2] = index.gamma;
    gammas.forEach((one, k) => one.set(index.gamma[k]));
    refresh();
  } }, "as trained");
  const layerRows = layers.map((layer, k) => {
    const box = checkbox(`${k + 1} ${layer.title}`, layer.on, (on) => {
      layer.on = on;
      refresh();
    });
    const fade = h("input", { type: "range", min: 0, max: 100, step: 5, value: layer.fade, title: "opacity", oninput: () => {
      layer.fade = +fade.value;
      refresh();
    } });
    fade.setAttribute("aria-label", `opacity of ${layer.title}`);
    return { element: h("div", { className: "dmt-layer" }, box.field, fade), box };
  });
  const compare = checkbox("compare side by side", false, (on) => {
    state.compare = on;
    if (on && panels.length === 1) panels.push(panel(index, colours, other(), brush, controls));
    if (on) stage.append(panels[1].element);
    else panels[1]?.element.remove();
    stage.classList.toggle("dmt-two", on);
    refresh();
  });
  const save = h("button", { type: "button", onclick: download }, "save as PNG");
  const side = h("div", { className: "dmt-side" },
    h("fieldset", {}, h("legend", {}, "Layers"), ...layerRows.map((row) => row.element)),
    h("fieldset", {}, h("legend", {}, "Weights for other γ"), ...gammas.map((one) => one.field), resetGammas),
    brushing.element, h("div", { className: "dmt-row" }, compare.field, save));
  const sort = select(index.samples.length > 1 ? "sort samples by" : "sort images by", SORTS.filter(([key]) => index.truth || key !== "error"), "stored", (value) => {
    state.sort = value;
    refresh();
  });
  const samples = thumbnails(index.samples, {
    summaryOf: async (id, { view, ...gammas }) => (await lookAt(viewOf(index.views, view), id, gammas)).summary,
    onpick: (id) => {
      Object.assign(state, { sample: id, cursor: null });
      refresh();
    },
    onmissing: (count) => note("sort", count ? `${count} ${count > 1 ? "samples are" : "sample is"} not stored in the notebook, and last here.` : ""),
  });
  root.append(
    h("header", {}, h("strong", {}, index.title), ...index.notices.map((text) => h("p", { className: "dmt-notice", role: "note" }, text))),
    h("div", { className: "dmt-row" }, sort, samples.element), h("div", { className: "dmt-body" }, side, h("div", { className: "dmt-main" }, stage, key.element)), status,
    h("details", {}, h("summary", {}, "keys"), h("p", { className: "dmt-note" }, HELP)),
  );
  el.replaceChildren(root);

  // ---- what follows from the state -------------------------------------------------------------------------------
  const entryOf = (view, sample) => view?.samples[sample];
  const gammaOf = () => ({ gamma1: state.gamma1, gamma2: state.gamma2 });

  // What there is to say of a sample, but for the order of tiles.
  async function lookAt(view, sample, gammas) {
    const entry = entryOf(view, sample);
    if (!entry) throw new Absent("This sample is not stored for this phase and moment. Choose another one.");
    const also = index.views.filter((v) => ["method", "student", "time"].every((key) => v[key] === view[key])).map((v) => entryOf(v, sample)).filter(Boolean);
    const arrays = await data.load(entry, also);
    const rule = index.rules[view.method];
    const found = weigh(arrays.labels, arrays.student, { ...gammas, rule });
    return { ...entry, ...arrays, rule, found, summary: summarise(found, arrays.labels.y_A, arrays.image.truth) };
  }

  const shown = () => (state.compare ? panels : panels.slice(0, 1));

  async function drawAll() {
    const mine = ++turn;
    const { sample, sort, gamma1, gamma2 } = state;
    const about = { view: { ...panels[0].choice }, gamma1, gamma2 };
    note("save", "");
    const style = getComputedStyle(root);
    const colour = (text) => (text.match(/\d+(\.\d+)?/g) ?? [255, 255, 255]).slice(0, 3).map(Number);
    const options = { layers, paper: colour(style.backgroundColor), ink: style.color, wide: !state.compare };
    for (const one of shown()) {
      try {
        const scene = await lookAt(one.view(), sample, { gamma1, gamma2 });
        if (mine !== turn) return; // something newer is on its way
        if (scene.ids) scene.order = orderTiles(scene.found, scene.labels, scene.student, scene.image.truth, sort);
        one.draw(scene, options);
      } catch (error) {
        if (mine !== turn) return; // nor does a failure of what was wanted before cover what is shown now
        one.say(error.message);
        if (!(error instanceof Absent)) console.error(error);
      }
    }
    brushing.refresh();
    key.draw(shown().map((one) => one.scene()).filter(Boolean), layers);
    point();
    samples.update({ sample, summary: panels[0].scene()?.summary, sort, about });
    root.dataset.drawn = mine;
    if (since !== null) {
      performance.measure("dmtkit-explorer", { start: since, end: performance.now() });
      since = null;
    }
    remember();
  }

  let pending = false;
  function schedule() {
    since ??= performance.now();
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      drawAll();
    });
  }

  const point = () => shown().forEach((one) => one.point(state.cursor, gammaOf()));

  // ---- keeping it ------------------------------------------------------------------------------------------------
  function remember() {
    const chosen = { sample: state.sample, gamma1: state.gamma1, gamma2: state.gamma2, ...panels[0].choice };
    if (JSON.stringify(chosen) === JSON.stringify(model.get("chosen"))) return;
    told = JSON.stringify(chosen);
    model.set("chosen", chosen);
    model.save_changes();
  }

  function recall() {
    const { sample, gamma1: first, gamma2: second, ...choice } = model.get("chosen") ?? {};
    if (index.samples.some((one) => one.id === sample)) state.sample = sample;
    [first, second].forEach((value, k) => {
      if (typeof value !== "number") return;
      state[`gamma${k + 1}`] = value;
      gammas[k].set(value);
    });
    const view = viewOf(index.views, choice, panels[0].choice);
    if (!view) return; // nothing that this run has
    Object.assign(panels[0].choice, choiceOf(view));
    panels[0].build();
  }

  async function download() {
    if (shown().some((one) => !one.scene())) {
      note("save", "Nothing to save: a picture could not be loaded. Choose what is stored, or run the cell.");
      return;
    }
    const titles = shown().map(({ choice: c }) => [index.titles[c.method], c.student && `${c.student} learns`, `phase ${c.phase}`, c.time].filter(Boolean).join(", "));
    const name = index.samples.find((one) => one.id === state.sample).name;
    const blob = await exportPng(shown(), titles, `${index.title}, ${name}, γ₁ = ${state.gamma1}, γ₂ = ${state.gamma2}`, index, colours);
    const url = URL.createObjectURL(blob);
    h("a", { href: url, download: `${index.title}-${state.sample}.png`.replace(/[^\w.-]+/g, "_") }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
    refresh(); // the histograms were drawn in black on white
  }

  const changed = () => {
    if (JSON.stringify(model.get("chosen")) === told) return; // our own words come back
    recall();
    schedule();
  };
  model.on("change:chosen", changed);
  root.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const row = layerRows[+event.key - 1];
    if (row) row.box.input.click();
    if (event.key === "," || event.key === ".") panels[0].nudge(event.key === "," ? -1 : 1);
  });
  const resized = new ResizeObserver(() => schedule());
  resized.observe(stage);
  const themed = new MutationObserver(() => schedule());
  themed.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light", "class"] });
  recall();
  return () => {
    resized.disconnect();
    themed.disconnect();
    model.off("change:chosen", changed);
    data.close();
  };
}
