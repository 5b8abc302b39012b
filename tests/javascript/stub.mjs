// A browser as small as the explorer needs, a kernel's model, and a run of 1 × 2 pixels: for tests of the whole widget.

import zlib from "node:zlib";

export class Element {
  constructor(name) {
    this.tagName = name.toUpperCase();
    Object.assign(this, { children: [], attributes: {}, dataset: {}, style: {}, heard: {}, words: "", parent: null });
    Object.assign(this, { width: 1, height: 1, clientWidth: 800, clientHeight: 600, hidden: false, className: "", value: "" });
    this.classList = { toggle() {} };
    if (name === "input") Object.assign(this, { type: "", min: "", max: "", step: "", checked: false });
  }
  addEventListener(name, call) {
    (this.heard[name] ??= []).push(call);
  }
  dispatchEvent(event) {
    for (const call of this.heard[event.type] ?? []) call({ target: this, key: "", stopPropagation() {}, ...event });
  }
  click() {
    this.dispatchEvent({ type: "click" });
  }
  setAttribute(name, value) {
    this.attributes[name] = String(value);
  }
  getAttribute(name) {
    return this.attributes[name] ?? null;
  }
  append(...children) {
    for (const child of children) {
      const one = typeof child === "object" ? child : Object.assign(new Element("#text"), { words: String(child) });
      this.children.push(one);
      one.parent = this;
    }
  }
  replaceChildren(...children) {
    [this.children, this.words] = [[], ""];
    this.append(...children);
  }
  remove() {
    if (this.parent) this.parent.children = this.parent.children.filter((one) => one !== this);
  }
  contains() {
    return false;
  }
  all(wanted) {
    return this.children.flatMap((one) => [...(wanted(one) ? [one] : []), ...one.all(wanted)]);
  }
  querySelector() {
    return this.all((one) => one.tagName === "INPUT")[0] ?? null;
  }
  focus() {}
  get textContent() {
    return this.words || this.children.map((one) => one.textContent).join("");
  }
  set textContent(text) {
    [this.children, this.words] = [[], String(text)];
  }
  getContext() {
    const found = (name) => (name === "measureText" ? () => ({ width: 5 }) : () => ({ addColorStop() {} }));
    return new Proxy({}, { get: (_, name) => found(name), set: () => true });
  }
  toBlob(call) {
    call(new Blob(["png"]));
  }
}

globalThis.document = { createElement: (name) => new Element(name), activeElement: null, body: new Element("body") };
globalThis.window = { devicePixelRatio: 1 };
globalThis.ImageData = class {
  constructor(width, height) {
    this.data = new Uint8ClampedArray(4 * width * height);
  }
};
globalThis.getComputedStyle = () => ({ backgroundColor: "rgb(255, 255, 255)", color: "black" });
const now = globalThis.setTimeout;
globalThis.setTimeout = (call, ms, ...words) => {
  const timer = now(call, ms, ...words);
  if (ms >= 1000) timer.unref(); // an answer that never came: the tests need not wait for the end of the patience
  return timer;
};
globalThis.requestAnimationFrame = (call) => setTimeout(call, 0);
globalThis.ResizeObserver = class {
  constructor(call) {
    this.call = call;
  }
  observe() {
    setTimeout(this.call, 0);
  }
  disconnect() {}
};
globalThis.MutationObserver = class {
  observe() {}
  disconnect() {}
};

// Long waits take a hundredth of their time until the function that comes back is called.
export function hurry() {
  const real = globalThis.setTimeout;
  globalThis.setTimeout = (call, ms, ...words) => real(call, ms >= 1000 ? ms / 100 : ms, ...words);
  return () => (globalThis.setTimeout = real);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Until something holds; it is given up after ten seconds, for the assertion that follows to say what was found.
export async function until(holds) {
  for (let k = 0; k < 1000 && !holds(); k++) await sleep(10);
}

// What Python and JavaScript share; `answer` hears what is sent, `say` speaks as the kernel does.
export function model(state, answer = () => {}) {
  const heard = {};
  const say = (name, ...words) => [...(heard[name] ?? [])].forEach((call) => call(...words));
  return {
    heard, say,
    get: (name) => state[name],
    set: (name, value) => (state[name] = value),
    on: (name, call) => (heard[name] ??= []).push(call),
    off: (name, call) => (heard[name] = (heard[name] ?? []).filter((one) => one !== call)),
    send: (message) => answer(message, say),
    save_changes() {},
  };
}

const pack = (...arrays) => Uint8Array.from(zlib.deflateSync(Buffer.concat(arrays.map((a) => Buffer.from(a.buffer)))));
const levels = (...shares) => Uint16Array.from(shares, (share) => Math.round(65535 * share));

// The first phase of dmt has both students, as cbst has one alone; cbst got as far as its second phase, dmt is through.
// How sure a student is of a sample's first pixel, with which it agrees, says `sure(view, sample)`.
export function madeRun(samples, sure = () => 0.5) {
  const [views, packs] = [[], {}];
  for (const [method, students, phases] of [["dmt", "BA", 3], ["cbst", "A", 2]])
    for (const time of ["middle", "start", "end"])
      for (const student of students)
        for (let phase = 1; phase <= phases; phase++) {
          const view = { method, phase, student, teacher: student === "A" ? "B" : "A", time, ratio: phase / 3, samples: {} };
          for (const sample of samples) {
            const base = `${method}/${phase}/${student}`;
            const entry = { image: `image/${sample}`, labels: `${base}/${sample}`, student: `${base}/${time}/${sample}`, width: 2, height: 1, tile: [1, 1] };
            view.samples[sample] = entry;
            packs[entry.image] = pack(Uint8Array.of(1, 2, 3, 4, 5, 6), Uint8Array.of(0, 1));
            packs[entry.labels] = pack(levels(0.6, 0.6), Uint8Array.of(0, 0), Uint8Array.of(1, 1));
            const p = sure(view, sample);
            packs[entry.student] = pack(levels(p, 0.5), levels(p, 0.5), Uint8Array.of(0, 0));
          }
          views.push(view);
        }
  const index = {
    title: "made/run", pixels: true, classes: ["a", "b"], truth: true, colours: ["#000000", "#ffffff"],
    cases: ["agreement", "negative", "positive"].map((title) => ({ title, colour: "#123456" })),
    weight_map: Array(256).fill("#00224e"), void_colour: "#888888", gamma: [3, 3], rules: { dmt: "dynamic", cbst: "uniform" },
    titles: { dmt: "DMT", cbst: "CBST" }, phases: { dmt: 3, cbst: 3 }, first: "dmt", views, names: {}, notices: [],
    samples: samples.map((id) => ({ id, name: `image ${id}`, thumbnail: "" })),
  };
  return { index, packs };
}
