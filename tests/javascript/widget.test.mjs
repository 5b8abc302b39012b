// The whole explorer in a stub of a browser: what it begins with, what it does when arrays come late or never.

import assert from "node:assert/strict";
import test from "node:test";
import { Element, hurry, madeRun, model, sleep, until } from "./stub.mjs";

const folder = "../../dmtkit/viewer/static/explorer";
const { render } = await import(`${folder}/explorer.mjs`);
const { viewOf } = await import(`${folder}/views.mjs`);

const run = madeRun(["3", "7"]);

function open({ index, packs }, chosen = {}, answer = () => {}) {
  const el = new Element("div");
  const state = model({ index, packs, chosen }, answer);
  const close = render({ model: state, el });
  const named = (name) => el.all((one) => one.className === name);
  const find = (tag, text) => el.all((one) => one.tagName === tag && one.textContent === text)[0];
  const order = () => named("dmt-thumbnail").map((one) => one.dataset.sample).join("");
  const pick = (label, value) => {
    const box = el.all((one) => one.tagName === "SELECT" && one.getAttribute("aria-label") === label)[0];
    box.value = value;
    box.dispatchEvent({ type: "change" });
  };
  const show = (sample) => named("dmt-thumbnail").find((one) => one.dataset.sample === sample).click();
  const drawn = () => el.children[0].dataset.drawn ?? 0;
  const status = () => el.all((one) => one.className === "dmt-note" && one.attributes.role === "status")[0].textContent;
  return { el, state, close, find, order, pick, show, drawn, status, message: named("dmt-message")[0] };
}

const chosenOf = (one) => {
  const { method, student, time, phase } = one.state.get("chosen");
  return [method, student, time, phase].join(" ");
};

test("a choice, also a partial one, means a view that there is", () => {
  const now = { method: "dmt", student: "B", time: "middle", phase: 3 };
  const of = (wanted, from = now) => {
    const view = viewOf(run.index.views, wanted, from);
    return view && [view.method, view.student, view.time, view.phase].join(" ");
  };
  assert.equal(of({}), "dmt B middle 3");
  assert.equal(of({ method: "cbst" }), "cbst A middle 2");
  assert.equal(of({ method: "cbst", phase: 1 }), "cbst A middle 1");
  assert.equal(of({ student: "A" }), "dmt A middle 3");
  assert.equal(of({ time: "end" }), "dmt B end 3");
  assert.equal(of({ phase: 1 }, { ...now, student: "A", time: "start" }), "dmt A start 1");
  assert.equal(of({ method: "cbst", student: "B" }), null);
  assert.equal(of({ method: "dst" }), null);
});

test("the explorer begins with the method that is asked for", async () => {
  for (const [chosen, expected] of [[{}, "dmt B middle 3"], [{ method: "cbst" }, "cbst A middle 2"], [{ method: "dst" }, "dmt B middle 3"]]) {
    const one = open(run, chosen);
    await until(one.drawn);
    assert.equal(chosenOf(one), expected);
    assert.ok(one.message.hidden, one.message.textContent);
    one.close();
  }
});

const without = (sample) => Object.fromEntries(Object.entries(run.packs).filter(([key]) => !key.endsWith(`/${sample}`)));
const noKernel = () => {
  throw new Error("no kernel");
};

test("a failure of what was wanted before does not cover the newer picture", async () => {
  const failures = [];
  const gone = (keys, say) => say("msg:custom", { kind: "error", keys, text: "gone" }, []);
  const one = open({ ...run, packs: without("7") }, {}, ({ keys }, say) => failures.push(() => gone(keys, say)));
  await until(one.drawn);
  one.show("7");
  await until(() => failures.length);
  one.show("3");
  await until(() => one.drawn() > 2);
  failures.forEach((call) => call());
  await sleep(50);
  assert.equal(one.state.get("chosen").sample, "3");
  assert.ok(one.message.hidden, one.message.textContent);
  one.close();
});

test("an answer that comes after the patience is over is shown all the same", async (t) => {
  t.after(hurry());
  const asked = [];
  const one = open({ ...run, packs: {} }, {}, (message) => asked.push(...message.keys));
  await until(() => asked.length);
  assert.equal(asked.length, new Set(asked).size, "nothing is asked for twice");
  await until(() => !one.message.hidden);
  assert.match(one.message.textContent, /not stored in the notebook/);
  one.state.say("msg:custom", { kind: "packs", keys: asked }, asked.map((key) => run.packs[key]));
  await until(() => one.message.hidden);
  assert.ok(one.message.hidden, one.message.textContent);
  one.close();
  assert.deepEqual(Object.values(one.state.heard).flat(), [], "a closed explorer listens to nothing");
});

test("samples stay sorted by what is shown: another moment, and what comes late", async () => {
  const p = { middle: [0.9, 0.4], start: [0.5, 0.9], end: [0.5, 0.9] }; // the lower p, the lower the weight
  const sorted = madeRun(["3", "7"], (view, sample) => p[view.time][sample === "3" ? 0 : 1]);
  const packs = Object.fromEntries(Object.entries(sorted.packs).filter(([key]) => !key.includes("/end/3")));
  const one = open({ ...sorted, packs }, {}, noKernel);
  const becomes = async (order, why) => {
    await until(() => one.order() === order);
    assert.equal(one.order(), order, why);
  };
  await becomes("37", "as stored");
  one.pick("sort samples by", "weight");
  await becomes("73", "in the middle");
  one.pick("moment of the phase", "start");
  await becomes("37", "at the start");
  one.pick("moment of the phase", "middle");
  one.pick("moment of the phase", "end");
  one.show("7");
  await becomes("73", "what is not known comes last");
  await until(one.status);
  assert.match(one.status(), /1 sample is not stored/);
  const late = Object.keys(sorted.packs).filter((key) => key.includes("/end/3"));
  one.state.say("msg:custom", { kind: "packs", keys: late }, late.map((key) => sorted.packs[key]));
  await becomes("37", "it has come");
  assert.equal(one.status(), "");
  one.close();
});

test("what could not be loaded is not saved, nor is what was shown before in its place", async () => {
  const made = [];
  globalThis.URL.createObjectURL = (blob) => `blob:${made.push(blob)}`;
  const one = open({ ...run, packs: without("7") }, {}, noKernel);
  await until(one.drawn);
  one.show("7");
  await until(() => !one.message.hidden);
  one.find("BUTTON", "save as PNG").click();
  assert.match(one.status(), /Nothing to save/);
  one.show("3");
  await until(() => one.message.hidden && !one.status());
  assert.deepEqual(made, []);
  one.find("BUTTON", "save as PNG").click();
  await until(() => made.length);
  assert.equal(made.length, 1);
  one.close();
});

test("without anything to show, saving says so", async () => {
  const one = open({ ...run, packs: {} }, {}, noKernel);
  await until(() => !one.message.hidden);
  one.find("BUTTON", "save as PNG").click();
  assert.match(one.status(), /Nothing to save/);
  one.close();
});
