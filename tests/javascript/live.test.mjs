// The live view's pure functions, by node's own test runner: node --test tests/javascript

import assert from "node:assert/strict";
import test from "node:test";

const series = await import("../../dmtkit/viewer/static/live/series.mjs");
const { bands, chartText, duration, line, merge, scale, stack, statusText, ticks, trainings, worthSaying } = series;

const point = (x, phase, more = {}) => ({ method: "dmt", phase, model: "", step: x, x, loss: 1 / x, ...more });

test("new points are added once, repeated ones replaced, and a void log forgotten", () => {
  const first = merge([], [point(1, 0), point(2, 0)]);
  const second = merge(first, [point(2, 0, { loss: 9 }), point(3, 0)]);
  assert.deepEqual(second.map((p) => p.x), [1, 2, 3]);
  assert.equal(second[1].loss, 9);
  assert.deepEqual(merge(second, [point(1, 0)], true).map((p) => p.x), [1]);
});

test("a training is what shares method, phase and model", () => {
  const points = [point(1, 0), point(2, 0), point(3, 1, { step: 1 }), point(4, 1, { step: 1, model: "B" })];
  assert.deepEqual(trainings(points).map((part) => part.length), [2, 1, 1]);
  const [band, ...others] = bands([...points, { ...point(6, 1), method: "cbst", step: 2 }]);
  assert.deepEqual([band.start, band.end, band.phases], [0, 4, [0, 2, 3]]);
  assert.deepEqual(others, [{ method: "cbst", start: 4, end: 6, phases: [4] }]);
});

test("ticks are round, hold the range and are few", () => {
  for (const [low, high] of [[0, 1], [0, 2.302], [40.2, 54.7], [0, 6612], [99, 99], [0, 1e-4], [0, 1]]) {
    const found = ticks(low, high, 4);
    assert.ok(found[0] <= low && found.at(-1) >= high, `${low}–${high}: ${found}`);
    assert.ok(found.length >= 2 && found.length <= 6, `${found}`);
  }
  assert.deepEqual(ticks(0, 1), [0, 0.25, 0.5, 0.75, 1]);
});

test("lines and areas go through their points", () => {
  assert.equal(line([[0, 0], [10, 1]], scale([0, 10], [40, 140]), scale([0, 1], [100, 0])), "M40.0,100.0L140.0,0.0");
  assert.equal(series.area([0, 1], [0, 0], [1, 1], (v) => v, (v) => v), "M0.0,1.0L1.0,1.0L1.0,0.0L0.0,0.0Z");
  const shares = { share_a: 0.6, share_b: 0.3, share_c: 0.1 };
  const { steps, layers } = stack([point(1, 0), point(2, 0, shares)], ["a", "b", "c"]);
  assert.deepEqual(steps, [2]);
  assert.ok(Math.abs(layers[2].high[0] - 1) < 1e-12);
  assert.equal(layers[1].low[0], 0.6);
});

test("times are no more exact than they are known", () => {
  assert.deepEqual([0.2, 12.3, 100, 7300].map(duration), ["a moment", "13 s", "2 min", "2.0 h"]);
  assert.equal(duration(null), "");
});

const setup = { titles: { dmt: "DMT" }, metric: "mIoU" };
const status = { state: "training", method: "dmt", phase: 2, model: "B", step: 5, steps: 10, phase_step: 3, phase_steps: 9, phase_left: 8.5, left: null };

test("the line of words says where the run is", () => {
  const text = statusText(status, [point(1, 2, { val: 61.26 })], [{ value: 40, method: "dmt", phase: 1 }], setup);
  for (const words of ["DMT", "phase 2, model B", "step 3 of 9", "loss 1.000", "held-out mIoU 61.3 %",
    "test mIoU 40.0 % (dmt, phase 1)", "this phase: about 9 s left", "time left: not known yet"]) assert.ok(text.includes(words), text);
  assert.match(statusText({ ...status, phase_step: 9 }, [], [], setup), /tests and labels come next/);
  assert.match(statusText({ ...status, state: "stopped" }, [], [], setup), /run the cell again/);
  assert.equal(statusText({}, [], [], setup), "Training begins");
});

test("a chart says its first and last value", () => {
  assert.equal(chartText("Loss", [point(1, 0), point(2, 0)], "loss"), "Loss: 1.000 at first, 0.500 now, over 2 points");
  assert.equal(chartText("Loss", [], "loss"), "Loss: nothing yet");
});

test("a screen reader is told of phases, and of numbers now and then", () => {
  assert.ok(worthSaying(status, null, 0));
  assert.ok(!worthSaying({ ...status, step: 6 }, { status, at: 0 }, 5000));
  assert.ok(worthSaying({ ...status, step: 6 }, { status, at: 0 }, 15000));
  assert.ok(worthSaying({ ...status, phase: 3 }, { status, at: 0 }, 10));
});
