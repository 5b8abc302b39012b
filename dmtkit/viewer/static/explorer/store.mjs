// The arrays of a run: from the notebook where they are embedded, else asked of the kernel, sample by sample.

import { inflate, LAYOUTS, split } from "./unpack.mjs";

const PATIENCE = 8000; // ms until a kernel that does not answer counts as absent
const ROOM = 384e6; // bytes of unpacked arrays kept

const ABSENT = "This part is not stored in the notebook. With a running kernel, run the cell to fetch it from the run folder.";

export class Absent extends Error {}

export function store(index, model) {
  const unpacked = new Map(); // key → promise of arrays, oldest first
  const sizes = new Map();
  const fetched = new Map(); // key → {promise of a pack, resolve, reject}, on its way or here

  model.on("msg:custom", (message, buffers) => {
    const keys = message.keys ?? [];
    keys.forEach((key, i) => {
      if (message.kind === "packs") fetched.get(key)?.resolve(buffers[i]);
      else lose(key, message.text);
    });
  });

  function lose(key, text) {
    fetched.get(key)?.reject(new Absent(text));
  }

  function ask(keys) {
    const wanted = keys.filter((key) => !model.get("packs")[key] && !fetched.has(key));
    if (!wanted.length) return;
    for (const key of wanted) {
      const entry = {};
      entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
      entry.promise.catch(() => fetched.delete(key)); // so that it can be asked for again
      fetched.set(key, entry);
    }
    const fail = () => wanted.forEach((key) => lose(key, ABSENT)); // does nothing where the pack has come
    try {
      model.send({ kind: "wanted", keys: wanted });
      setTimeout(fail, PATIENCE);
    } catch {
      fail();
    }
  }

  function arrays(key, layout) {
    if (unpacked.has(key)) {
      const found = unpacked.get(key); // the newest again
      unpacked.delete(key);
      unpacked.set(key, found);
      return found;
    }
    const packed = model.get("packs")[key];
    const bytes = packed ? Promise.resolve(packed) : fetched.get(key).promise;
    const found = bytes.then(inflate).then((buffer) => {
      sizes.set(key, buffer.byteLength);
      trim();
      return split(buffer, layout);
    });
    found.catch(() => unpacked.delete(key));
    unpacked.set(key, found);
    return found;
  }

  function trim() {
    let total = [...unpacked.keys()].reduce((sum, key) => sum + (sizes.get(key) ?? 0), 0);
    for (const key of [...unpacked.keys()]) {
      if (total <= ROOM || unpacked.size <= 6) return;
      total -= sizes.get(key) ?? 0;
      unpacked.delete(key);
    }
  }

  const keysOf = (entry) => [entry.image, entry.labels, entry.student];

  // The arrays of one view of one sample; `also` are entries that are likely to be wanted next.
  async function load(entry, also = []) {
    ask([entry, ...also].flatMap(keysOf));
    const count = entry.width * entry.height;
    const [image, labels, student] = await Promise.all([
      arrays(entry.image, LAYOUTS.image(count, entry.tile[0] * entry.tile[1])),
      arrays(entry.labels, LAYOUTS.labels(count)),
      arrays(entry.student, LAYOUTS.student(count)),
    ]);
    return { image, labels, student };
  }

  const here = (entry) => keysOf(entry).every((key) => model.get("packs")[key] || unpacked.has(key));
  return { load, here };
}
