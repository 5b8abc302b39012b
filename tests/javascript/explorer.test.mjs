// The explorer's pure functions, by node's own test runner: node --test tests/javascript

import assert from "node:assert/strict";
import test from "node:test";
import zlib from "node:zlib";
import { hurry, sleep } from "./stub.mjs";

const folder = "../../dmtkit/viewer/static/explorer";
const { inflate, LAYOUTS, split } = await import(`${folder}/unpack.mjs`);
const { AGREE, formula, NEGATIVE, POSITIVE, VOID, weigh } = await import(`${folder}/weigh.mjs`);
const { binOf, BINS, ordered, orderTiles, summarise } = await import(`${folder}/summary.mjs`);
const { isWrong, picked } = await import(`${folder}/scene.mjs`);
const maps = await import(`${folder}/maps.mjs`);
const gallery = await import(`${folder}/gallery.mjs`);
const { Absent, store } = await import(`${folder}/store.mjs`);
const { classesIn } = await import(`${folder}/legend.mjs`);

// One of each case, and one that is not kept: worked out by hand for γ1 = 2, γ2 = 3.
const labels = { y_A: [1, 1, 1, 1], c_A: [60000, 60000, 30000, 50000], kept: [1, 1, 1, 0] };
const student = { y_B: [1, 2, 2, 1], c_B: [65535, 50000, 40000, 50000], p_B: [65535, 13107, 13107, 65535] };
const truth = [1, 2, 1, 1];

test("the three cases and their weights", () => {
  const found = weigh(labels, student, { gamma1: 2, gamma2: 3, rule: "dynamic" });
  assert.deepEqual([...found.which], [AGREE, NEGATIVE, POSITIVE, VOID]);
  const expected = [1, 0.2 ** 3, 0, 0];
  found.weight.forEach((w, i) => assert.ok(Math.abs(w - expected[i]) < 1e-6));
});

test("the formula says how a weight came about", () => {
  const numbers = { p: 0.2, c_A: 0.9, gamma1: 2, gamma2: 3 };
  assert.equal(formula(NEGATIVE, "dynamic", numbers), "w = p_B^γ₂ = 0.200^3");
  assert.match(formula(POSITIVE, "dynamic", numbers), /^w = 0/);
  assert.match(formula(POSITIVE, "flip", numbers), /0\.100\^3/);
  assert.match(formula(VOID, "dynamic", numbers), /no label kept/);
  assert.match(formula(AGREE, "uniform", numbers), /^w = 1/);
});

test("a summary counts by case", () => {
  const found = weigh(labels, student, { gamma1: 2, gamma2: 3, rule: "dynamic" });
  const summary = summarise(found, labels.y_A, truth);
  assert.deepEqual(summary.cases.map((row) => row.count), [1, 1, 1]);
  assert.deepEqual(summary.cases.map((row) => row.right), [1, 0, 1]);
  assert.equal(summary.kept, 3);
  assert.ok(Math.abs(summary.disagreement - 2 / 3) < 1e-9);
  assert.ok(Math.abs(summary.error - 1 / 3) < 1e-9);
  assert.equal(summary.cases[0].bins[BINS - 1], 1);
  assert.equal(binOf(1), BINS - 1);
  const nothing = summarise({ which: [VOID], weight: [0] }, [0], [VOID]);
  assert.ok(Number.isNaN(nothing.meanWeight) && Number.isNaN(nothing.error));
});

test("samples in the order asked for, unknown ones last", () => {
  const summaries = new Map([["a", { disagreement: 0.1, meanWeight: 0.9, error: 0 }], ["b", { disagreement: 0.5, meanWeight: 0.2, error: NaN }]]);
  assert.deepEqual(ordered(["a", "c", "b"], summaries, "stored"), ["a", "c", "b"]);
  assert.deepEqual(ordered(["a", "c", "b"], summaries, "disagreement"), ["b", "a", "c"]);
  assert.deepEqual(ordered(["a", "c", "b"], summaries, "weight"), ["b", "a", "c"]);
  assert.deepEqual(ordered(["c", "b", "a"], summaries, "error"), ["a", "c", "b"]);
});

test("tiles in the order asked for, those not kept last", () => {
  const found = weigh(labels, student, { gamma1: 2, gamma2: 3, rule: "dynamic" });
  const shown = { ...labels, y_A: Uint8Array.from(labels.y_A) };
  assert.deepEqual(orderTiles(found, shown, student, truth, "stored"), [0, 1, 2, 3]);
  assert.deepEqual(orderTiles(found, shown, student, truth, "weight"), [2, 1, 0, 3]);
  assert.deepEqual(orderTiles(found, shown, student, truth, "error"), [1, 2, 0, 3]);
});

test("the brush", () => {
  const whole = { low: 0, high: 1, cases: [true, true, true] };
  assert.ok(picked(whole, VOID, 0));
  assert.ok(!picked({ ...whole, low: 0.5 }, AGREE, 0.4));
  assert.ok(!picked({ ...whole, low: 0.5 }, VOID, 0));
  assert.ok(!picked({ ...whole, cases: [true, true, false] }, POSITIVE, 0));
  assert.ok(picked({ ...whole, cases: [false, false, true] }, POSITIVE, 0));
  assert.deepEqual([0, 1, 2, 3].map((i) => Boolean(isWrong({ image: { truth }, labels }, i))), [false, true, false, false]);
});

test("from place to element and back, in maps and galleries", () => {
  const scene = { width: 5, height: 4 };
  const canvas = { width: 50, height: 40 };
  for (let i = 0; i < 20; i++) {
    const [x, y, w, h] = maps.boxOf(scene, canvas, i);
    assert.equal(maps.elementAt(scene, canvas, x + w / 2, y + h / 2), i);
  }
  assert.equal(maps.elementAt(scene, canvas, 51, 1), null);
  assert.equal(maps.step(scene, 0, -1, -1), 0);
  assert.equal(maps.step(scene, 7, 10, 0), 9);
  const tiles = { order: [2, 0, 1], columns: 2 };
  assert.equal(gallery.elementAt(tiles, canvas, 30, 10), 0);
  assert.equal(gallery.elementAt(tiles, canvas, 30, 30), null);
  assert.deepEqual(gallery.boxOf(tiles, canvas, 1), [0, 25, 25, 25]);
  assert.equal(gallery.step(tiles, 2, 0, 1), 1);
});

test("a tall, a wide and a large map fit into the room there is", () => {
  for (const [width, height] of [[48, 48], [500, 500], [100, 900], [2048, 1024]]) {
    const size = maps.sizeOf({ width, height }, 600);
    assert.ok(size.width <= 600 && size.height <= 560);
    assert.ok(Math.abs(size.width / size.height - width / height) < 0.02 * (width / height));
  }
});

const bytes = (...arrays) => zlib.deflateSync(Buffer.concat(arrays.map((a) => Buffer.from(a.buffer))));

test("packs come apart as they were put together; foreign ones are refused", async () => {
  const packed = bytes(Uint16Array.of(1, 65535), Uint8Array.of(7, 8), Uint8Array.of(1, 0));
  const found = split(await inflate(packed), LAYOUTS.labels(2));
  assert.deepEqual([[...found.c_A], [...found.y_A], [...found.kept]], [[1, 65535], [7, 8], [1, 0]]);
  const buffer = await inflate(packed);
  assert.throws(() => split(buffer, LAYOUTS.labels(1)), /expected/);
});

function kernel(answers) {
  const heard = {};
  const asked = [];
  return {
    asked,
    get: () => ({ "1/image": bytes(Uint8Array.of(1, 2, 3, 0)) }),
    on: (name, call) => (heard[name] = call),
    send: ({ keys }) => {
      asked.push(...keys);
      const known = keys.filter((key) => key in answers);
      heard["msg:custom"]({ kind: "packs", keys: known }, known.map((key) => answers[key]));
      const unknown = keys.filter((key) => !(key in answers));
      if (unknown.length) heard["msg:custom"]({ kind: "error", keys: unknown, text: "gone" }, []);
    },
  };
}

const entry = (n) => ({ image: `${n}/image`, labels: `${n}/labels`, student: `${n}/student`, width: 1, height: 1, tile: [1, 1] });

test("what is not embedded is asked for once, together with what is likely to follow", async () => {
  const pair = bytes(Uint16Array.of(9), Uint8Array.of(4), Uint8Array.of(1));
  const said = bytes(Uint16Array.of(9), Uint16Array.of(8), Uint8Array.of(4));
  const answers = { "1/labels": pair, "1/student": said, "2/image": bytes(Uint8Array.of(1, 2, 3, 0)), "2/labels": pair, "2/student": said };
  const model = kernel(answers);
  const data = store({}, model);
  const found = await data.load(entry(1), [entry(2)]);
  assert.deepEqual([...found.labels.c_A], [9]);
  assert.deepEqual(model.asked.sort(), ["1/labels", "1/student", "2/image", "2/labels", "2/student"]);
  await data.load(entry(2));
  await data.load(entry(1));
  assert.equal(model.asked.length, 5, "nothing is asked for twice");
});

test("a kernel that cannot answer, and none at all", async () => {
  await assert.rejects(store({}, kernel({})).load(entry(1)), (error) => error instanceof Absent && error.message === "gone");
  const none = { get: () => ({}), on() {}, send() { throw new Error("no comm"); } };
  await assert.rejects(store({}, none).load(entry(1)), /not stored in the notebook/);
});

test("the time of an old question does not end a newer one of the same array", async (t) => {
  t.after(hurry());
  const heard = {};
  const model = { get: () => ({}), on: (name, call) => (heard[name] = call), send() {} };
  const data = store({}, model);
  const keys = Object.values(entry(1)).slice(0, 3);
  const first = data.load(entry(1));
  heard["msg:custom"]({ kind: "error", keys, text: "gone" }, []);
  await assert.rejects(first, /gone/);
  await sleep(50);
  const second = data.load(entry(1));
  await sleep(50); // the first one's time is over, the second one's is not
  const pair = bytes(Uint16Array.of(9), Uint8Array.of(4), Uint8Array.of(1));
  const packs = [bytes(Uint8Array.of(1, 2, 3, 0)), pair, bytes(Uint16Array.of(9), Uint16Array.of(8), Uint8Array.of(4))];
  heard["msg:custom"]({ kind: "packs", keys }, packs);
  assert.deepEqual([...(await second).labels.c_A], [9]);
});

test("the legend names the classes that are shown", () => {
  const scenes = [{ image: { truth: [0, VOID] }, labels: { y_A: [3, 1] }, student: { y_B: [2, 2] } }];
  const layer = (name, on) => ({ name, on });
  assert.deepEqual(classesIn(scenes, [layer("truth", true), layer("y_A", true), layer("y_B", false)]), [0, 1, 3]);
});
