// Numbers about many labels: counts and histograms by case, and what samples are sorted by.

import { CASES, VOID } from "./weigh.mjs";

export const BINS = 25;

export const binOf = (weight) => Math.min(BINS - 1, Math.floor(weight * BINS));

export function summarise({ which, weight }, y_A, truth) {
  const cases = CASES.map(() => ({ count: 0, weight: 0, known: 0, right: 0, bins: new Uint32Array(BINS) }));
  for (let i = 0; i < which.length; i++) {
    if (which[i] === VOID) continue;
    const row = cases[which[i]];
    row.count += 1;
    row.weight += weight[i];
    row.bins[binOf(weight[i])] += 1;
    if (truth[i] !== VOID) {
      row.known += 1;
      row.right += truth[i] === y_A[i];
    }
  }
  const total = (name) => cases.reduce((sum, row) => sum + row[name], 0);
  const kept = total("count");
  return {
    cases,
    kept,
    meanWeight: kept ? total("weight") / kept : NaN,
    disagreement: kept ? 1 - cases[0].count / kept : NaN,
    error: total("known") ? 1 - total("right") / total("known") : NaN,
  };
}

// Largest first, except that a small mean weight is what is looked for; what is not known comes last.
export function ordered(ids, summaries, sort) {
  if (sort === "stored") return ids;
  const key = { disagreement: (s) => -s.disagreement, weight: (s) => s.meanWeight, error: (s) => -s.error }[sort];
  const value = (id) => (summaries.has(id) ? key(summaries.get(id)) : NaN);
  return [...ids].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    return Number.isNaN(x) - Number.isNaN(y) || x - y || ids.indexOf(a) - ids.indexOf(b) || 0;
  });
}

// The order of the tiles of a gallery: single labels instead of means; labels that are not kept come last.
export function orderTiles(found, labels, student, truth, sort) {
  const order = Array.from(labels.y_A.keys());
  if (sort === "stored") return order;
  const wrong = (i) => truth[i] !== VOID && truth[i] !== labels.y_A[i];
  const key = { disagreement: (i) => student.p_B[i], weight: (i) => found.weight[i], error: (i) => (wrong(i) ? 0 : 1) }[sort];
  const group = (i) => (found.which[i] === VOID ? 1 : 0);
  return order.sort((a, b) => group(a) - group(b) || key(a) - key(b) || found.weight[a] - found.weight[b] || a - b);
}
