// The samples to choose from, in the order asked for. What they are sorted by is worked out one after the other, anew
// for whatever view and γ are shown; nothing is worked out while they stand as they were drawn.

import { h } from "./dom.mjs";
import { ordered } from "./summary.mjs";

const PAUSE = 150; // ms without a change of view or γ before all samples are looked at again

// `summaryOf(id, about)` looks at a sample; `onmissing` is told of how many samples that was not possible.
export function thumbnails(samples, { summaryOf, onpick, onmissing }) {
  const element = h("div", { className: "dmt-thumbnails", role: "group", ariaLabel: "samples" });
  const ids = samples.map((one) => one.id);
  let [order, shown] = [ids, ids[0]];
  let [known, subject, task, pass] = [new Map(), "", "", 0]; // summaries, what they are of, what is sorted, how often

  function draw() {
    if (samples.length < 2) return;
    const focused = element.contains(document.activeElement) ? document.activeElement.dataset.sample : null;
    element.replaceChildren(...order.map((id) => {
      const sample = samples.find((one) => one.id === id);
      const button = h("button", { type: "button", className: "dmt-thumbnail", onclick: () => onpick(id) },
        h("img", { src: sample.thumbnail, alt: "" }), h("span", {}, sample.name));
      button.dataset.sample = id;
      button.setAttribute("aria-pressed", id === shown);
      return button;
    }));
    if (focused) element.querySelector(`[data-sample="${focused}"]`)?.focus();
  }

  async function rank(sort, about, pause) {
    const mine = ++pass; // what is still under way ends
    if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
    let missing = 0;
    for (const id of ids) {
      if (mine !== pass) return;
      if (known.has(id)) continue;
      const summary = await summaryOf(id, about).catch(() => null);
      if (mine !== pass) return;
      if (summary) known.set(id, summary);
      else missing += 1;
    }
    if (mine !== pass) return;
    order = ordered(ids, known, sort);
    onmissing(missing);
    draw();
  }

  function stand() {
    pass += 1;
    order = ids;
    onmissing(0);
  }

  // After every drawing: which sample is shown, with its summary where it is known, and by what all are to be sorted.
  function update({ sample, summary, sort, about }) {
    shown = sample;
    const key = JSON.stringify(about);
    const again = key !== subject;
    if (again) [known, subject] = [new Map(), key];
    if (summary) known.set(sample, summary);
    if (samples.length > 1 && task !== sort + key) {
      const pause = again && task ? PAUSE : 0;
      task = sort + key;
      if (sort === "stored") stand();
      else rank(sort, about, pause);
    }
    draw();
  }

  // Something that was missing has come: the next drawing sorts again.
  const renew = () => (task = "");
  return { element, update, renew };
}
