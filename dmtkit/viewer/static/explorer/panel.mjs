// One picture with what it shows chosen above it, and its histogram and readout below.

import * as gallery from "./gallery.mjs";
import * as maps from "./maps.mjs";
import { h, select, slider } from "./dom.mjs";
import { histogram } from "./histogram.mjs";
import { facts, readout } from "./readout.mjs";

const unique = (values) => [...new Set(values)];
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function panel(index, colours, choice, brush, { onchoice, onbrush, oncursor }) {
  const kind = index.pixels ? maps : gallery;
  const canvas = h("canvas", { className: "dmt-picture" });
  const cursor = h("canvas", { className: "dmt-cursor", tabIndex: 0 });
  cursor.setAttribute("role", "application");
  cursor.setAttribute("aria-label", "picture; arrow keys move the pointer, Shift moves it by ten, Enter holds it");
  const message = h("p", { className: "dmt-message", hidden: true, role: "status" });
  const bars = histogram(index, colours, brush, onbrush);
  const table = readout();
  table.table.setAttribute("aria-live", "polite");
  const chooser = h("div", { className: "dmt-row" });
  const frame = h("div", { className: "dmt-frame" }, canvas, cursor, message);
  const element = h("section", { className: "dmt-panel" }, chooser,
    h("div", { className: "dmt-look" }, frame, h("div", { className: "dmt-below" }, bars.canvas, table.table)));
  let [scene, held, at] = [null, false, null];

  const matching = (wanted) => index.views.filter((view) => Object.entries(wanted).every(([key, value]) => view[key] === value));

  function view() {
    return matching(choice)[0] ?? null;
  }

  // What can be chosen depends on what was chosen before: method, then student, moment and phase.
  function choose(change) {
    Object.assign(choice, change);
    for (const key of ["student", "time", "phase"]) {
      const { method, ...rest } = choice;
      const kept = key === "student" ? { method } : key === "time" ? { method, student: rest.student } : { method, student: rest.student, time: rest.time };
      const possible = unique(matching(kept).map((one) => one[key]));
      if (!possible.includes(choice[key])) choice[key] = possible[possible.length - 1];
    }
    build();
    onchoice();
  }

  function build() {
    const { method, student, time } = choice;
    const of = (name, wanted) => unique(matching(wanted).map((one) => one[name]));
    const students = of("student", { method });
    const times = of("time", { method, student });
    const phases = of("phase", { method, student, time });
    const focused = chooser.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
    const parts = [select("method", of("method", {}).map((name) => [name, index.titles[name]]), method, (v) => choose({ method: v }))];
    if (students.length > 1 || student) {
      const way = (name) => matching({ method, student: name })[0];
      parts.push(select("direction", students.map((name) => [name, `${way(name).teacher} → ${name}`]), student, (v) => choose({ student: v })));
    }
    if (times.length > 1) parts.push(select("moment of the phase", times.map((name) => [name, name]), time, (v) => choose({ time: v })));
    const show = (i) => {
      const one = matching({ method, student, time, phase: phases[i] })[0];
      return `${phases[i]} of ${index.phases[method]}, α = ${+one.ratio.toFixed(3)}`;
    };
    const value = phases.indexOf(choice.phase);
    parts.push(slider("phase", { min: 0, max: phases.length - 1, step: 1, value, show }, (i) => {
      choice.phase = phases[i];
      onchoice();
    }).field);
    chooser.replaceChildren(...parts);
    if (focused) chooser.querySelector(`[aria-label="${focused}"]`)?.focus();
  }

  function nudge(by) {
    const input = chooser.querySelector('input[type="range"]');
    input.value = +input.value + by;
    input.dispatchEvent(new Event("input"));
  }

  const toCanvas = (event) => {
    const box = cursor.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * canvas.width, ((event.clientY - box.top) / box.height) * canvas.height];
  };
  const under = (event) => (scene ? kind.elementAt(scene, canvas, ...toCanvas(event)) : null);
  const tell = (i) => i !== null && oncursor(scene.ids ? scene.ids[i] : i);
  cursor.addEventListener("pointermove", (event) => !held && tell(under(event)));
  cursor.addEventListener("click", (event) => {
    held = !held;
    tell(under(event));
  });
  cursor.addEventListener("keydown", (event) => {
    if (!scene) return;
    if (event.key === "Enter") held = !held;
    if (!(event.key in STEPS)) return;
    event.preventDefault();
    const [dx, dy] = STEPS[event.key].map((d) => d * (event.shiftKey ? 10 : 1));
    tell(at === null ? (scene.order?.[0] ?? 0) : kind.step(scene, at, dx, dy));
    reveal();
  });

  // Scrolls a long gallery to where the pointer is.
  function reveal() {
    const [, y, , height] = kind.boxOf(scene, canvas, at).map((v) => (v * parseFloat(canvas.style.width)) / canvas.width);
    frame.scrollTop = Math.max(Math.min(frame.scrollTop, y), y + height - frame.clientHeight);
  }

  function point(id, gammas) {
    const pen = cursor.getContext("2d");
    pen.clearRect(0, 0, cursor.width, cursor.height);
    at = scene === null || id === null ? null : scene.ids ? scene.ids.indexOf(id) : id;
    if (at === null || at < 0 || (!scene.ids && at >= scene.width * scene.height)) {
      at = null;
      table.clear(scene === null ? "" : id === null ? "Point at the picture, or focus it and use the arrow keys." : "not among the images kept of this phase");
      return;
    }
    let [x, y, w, h2] = kind.boxOf(scene, canvas, at);
    const grow = Math.max(0, (9 - w) / 2);
    [x, y, w, h2] = [x - grow, y - grow, w + 2 * grow, h2 + 2 * grow];
    for (const [colour, width] of [["#000", 4], ["#fff", 2]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      pen.strokeRect(x, y, w, h2);
    }
    table.show(facts(scene, at, index, gammas, kind.placeOf(scene, at, index)));
  }

  function draw(found, options) {
    scene = found;
    message.hidden = true;
    const whole = element.clientWidth || 480;
    const room = Math.max(240, Math.min(720, options.wide && whole > 720 ? whole - 350 : whole));
    const size = kind.sizeOf(scene, room);
    const sharp = index.pixels ? 1 : window.devicePixelRatio || 1;
    for (const one of [canvas, cursor]) {
      [one.width, one.height] = [size.width * sharp, size.height * sharp];
      [one.style.width, one.style.height] = [`${size.width}px`, `${size.height}px`];
    }
    kind.draw(canvas, scene, { ...options, colours, brush, index });
    bars.draw(scene.summary, options.ink);
    canvas.setAttribute("aria-hidden", "true");
  }

  function say(text) {
    scene = null; // what is drawn below is not what was asked for
    message.textContent = text;
    message.hidden = false;
  }

  build();
  const phases = () => unique(matching({ method: choice.method, student: choice.student, time: choice.time }).map((one) => one.phase));
  return { element, canvas, bars, choice, view, phases, nudge, draw, point, say, build, scene: () => scene };
}
