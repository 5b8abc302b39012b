// What the live view draws, as plain numbers and words: no page, no widget.

const name = (point) => `${point.method}|${point.phase}|${point.model ?? ""}|${point.step ?? ""}`;

// Old points and new ones in the order of their steps; a point that comes again replaces the one it repeats.
export function merge(old, added, fresh = false) {
  const found = new Map((fresh ? [] : old).map((point) => [name(point), point]));
  for (const point of added) found.set(name(point), point);
  return [...found.values()].sort((a, b) => a.x - b.x);
}

// Runs of points that share method, phase and model: each was one training.
export function trainings(points) {
  const found = [];
  let last = null;
  for (const point of points) {
    const key = `${point.method}|${point.phase}|${point.model}`;
    if (key !== last) found.push([]);
    found.at(-1).push(point);
    last = key;
  }
  return found;
}

// Where each method's trainings begin and end on the axis.
export function bands(points) {
  const found = [];
  for (const part of trainings(points)) {
    const start = part[0].x - part[0].step;
    if (found.at(-1)?.method !== part[0].method) found.push({ method: part[0].method, start, phases: [] });
    found.at(-1).phases.push(start);
    found.at(-1).end = part.at(-1).x;
  }
  return found;
}

// Round numbers that hold `low` and `high` between them, in about `count` steps.
export function ticks(low, high, count = 4) {
  if (!(high > low)) high = low + 1;
  const span = high - low;
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => span / size <= count);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => +((first + i) * step).toPrecision(12));
}

export const scale = ([low, high], [from, to]) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);

export function line(pairs, x, y) {
  return pairs.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)},${y(b).toFixed(1)}`).join("");
}

// The outline of the area between two lines over the same steps.
export function area(steps, low, high, x, y) {
  const there = line(steps.map((step, i) => [step, high[i]]), x, y);
  const back = line([...steps.keys()].reverse().map((i) => [steps[i], low[i]]), x, y);
  return `${there}${back.replace("M", "L")}Z`;
}

// Cumulated shares of the cases of one training: for each case where its area begins and ends at each step.
export function stack(part, keys) {
  const kept = part.filter((point) => `share_${keys[0]}` in point);
  let low = kept.map(() => 0);
  const layers = keys.map((key) => {
    const high = kept.map((point, i) => low[i] + (point[`share_${key}`] ?? 0));
    const layer = { key, low, high };
    low = high;
    return layer;
  });
  return { steps: kept.map((point) => point.x), layers };
}

// A time in words, no more exact than it is known.
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 1) return "a moment";
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

const STATES = { finished: "Finished", stopped: "Stopped; run the cell again to go on", failed: "Failed" };

// One line that says where the run is.
export function statusText(status, points, tests, setup) {
  if (!status.method) return "Training begins";
  const words = [STATES[status.state] ?? setup.titles[status.method] ?? status.method];
  if (status.state === "training") {
    words.push(`phase ${status.phase}${status.model ? `, model ${status.model}` : ""}`);
    if (status.phase_steps > status.phase_step) words.push(`step ${status.phase_step} of ${status.phase_steps}`);
    else words.push("trained; tests and labels come next");
  }
  if (status.state === "training") {
    if (status.phase_left) words.push(`this phase: about ${duration(status.phase_left)} left`);
    words.push(status.left === null ? "time left: not known yet" : `in all: about ${duration(status.left)} left`);
  }
  const last = points.at(-1);
  if (last?.loss !== undefined) words.push(`loss ${last.loss.toFixed(3)}`);
  const held = points.findLast((point) => "val" in point);
  if (held) words.push(`held-out ${setup.metric} ${held.val.toFixed(1)} %`);
  const test = tests.at(-1);
  if (test) words.push(`test ${setup.metric} ${test.value.toFixed(1)} % (${test.method}, phase ${test.phase})`);
  return words.join(" · ");
}

// A chart in words.
export function chartText(title, points, key, show = (value) => value.toFixed(3)) {
  const found = points.filter((point) => key in point);
  if (!found.length) return `${title}: nothing yet`;
  return `${title}: ${show(found[0][key])} at first, ${show(found.at(-1)[key])} now, over ${found.length} points`;
}

// Whether a screen reader should be told again: something other than numbers changed, or it was silent for long.
export function worthSaying(status, said, now, pause = 15000) {
  if (!said) return true;
  const same = ["state", "method", "phase", "model"].every((key) => status[key] === said.status[key]);
  return !same || now - said.at >= pause;
}
