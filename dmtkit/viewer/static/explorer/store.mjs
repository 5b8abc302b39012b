// The arrays of a run: from the notebook where they are embedded, else asked of the kernel, sample by sample.

import { inflate, LAYOUTS, split } from "./unpack.mjs";

const PATIENCE = 8000; // ms until a kernel that does not answer counts as absent
const ROOM = 384e6; // bytes of unpacked arrays kept

const ABSENT = "This part is not stored in the notebook. With a running kernel, run the cell to fetch it from the run folder.";

export class Absent extends Error {}

// `onlate` is called when something comes that was given up.
export function store(index, model, onlate = () => {}) {
  const unpacked = new Map(); // key → promise of arrays, oldest first
  const sizes = new Map();
  const fetched = new Map(); // key → {promise of a pack, resolve, reject, here}, on its way or here
  const missed = new Set(); // keys that were given up, and may come yet

  const hear = (message, buffers) => {
    (message.keys ?? []).forEach((key, i) => {
      if (message.kind === "packs") take(key, buffers[i]);
      else if (fetched.has(key)) lose(key, fetched.get(key), message.text);
    });
  };
  model.on("msg:custom", hear);

  function expect(key) {
    const entry = { here: false };
    entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    entry.promise.catch(() => fetched.get(key) === entry && fetched.delete(key)); // so that it can be asked for again
    fetched.set(key, entry);
    return entry;
  }

  function take(key, pack) {
    const late = missed.delete(key) && !fetched.has(key);
    const entry = late ? expect(key) : fetched.get(key);
    if (!entry) return; // asked for by another view of the same model
    entry.here = true;
    entry.resolve(pack);
    if (late) onlate();
  }

  function lose(key, entry, text) {
    if (entry.here || fetched.get(key) !== entry) return; // answered, in one way or the other
    missed.add(key);
    entry.reject(new Absent(text));
  }

  function ask(keys) {
    const wanted = [...new Set(keys)].filter((key) => !model.get("packs")[key] && !fetched.has(key));
    if (!wanted.length) return;
    const entries = wanted.map((key) => [key, expect(key)]);
    const fail = () => entries.forEach(([key, entry]) => lose(key, entry, ABSENT));
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
    found.catch(() => unpacked.get(key) === found && unpacked.delete(key));
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
  const close = () => model.off("msg:custom", hear);
  return { load, here, close };
}
