// The whole explorer in a stub of a browser: what it begins with, what it does when arrays come late or never.

import assert from "node:assert/strict";
import test from "node:test";
import { Element, hurry, madeRun, model, sleep } from "./stub.mjs";

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
  return { el, state, close, named, find, order, pick, show, message: named("dmt-message")[0] };
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
    await sleep(60);
    assert.equal(chosenOf(one), expected);
    assert.ok(one.message.hidden, one.message.textContent);
    one.close();
  }
});

const without = (sample) => Object.fromEntries(Object.entries(run.packs).filter(([key]) => !key.endsWith(`/${sample}`)));

test("a failure of what was wanted before does not cover the newer picture", async () => {
  const failed = [];
  const one = open({ ...run, packs: without("7") }, {}, (message, say) => failed.push(() => say("msg:custom", { kind: "error", keys: message.keys, text: "gone" }, [])));
  await sleep(60);
  one.show("7");
  await sleep(30);
  one.show("3");
  await sleep(30);
  failed.forEach((call) => call());
  await sleep(30);
  assert.equal(one.state.get("chosen").sample, "3");
  assert.ok(one.message.hidden, one.message.textContent);
  one.close();
});

test("an answer that comes after the patience is over is shown all the same", async (t) => {
  t.after(hurry());
  const asked = [];
  const one = open({ ...run, packs: {} }, {}, (message) => asked.push(...message.keys));
  await sleep(30);
  assert.equal(asked.length, new Set(asked).size, "nothing is asked for twice");
  await sleep(120);
  assert.match(one.message.textContent, /not stored in the notebook/);
  assert.ok(!one.message.hidden);
  one.state.say("msg:custom", { kind: "packs", keys: asked }, asked.map((key) => run.packs[key]));
  await sleep(60);
  assert.ok(one.message.hidden, one.message.textContent);
  one.close();
  assert.deepEqual(Object.values(one.state.heard).flat(), [], "a closed explorer listens to nothing");
});
