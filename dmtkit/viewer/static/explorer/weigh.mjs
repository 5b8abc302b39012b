// The three cases and the weight of every label, from what a run stores: method.md §3, as dmtkit.losses.dynamic.weigh does it.

export const TOP = 65535; // the level of a probability of 1
export const [AGREE, NEGATIVE, POSITIVE, VOID] = [0, 1, 2, 255];
export const CASES = ["agree", "negative", "positive"];

const tables = new Map(); // p^γ of every level, of the γ last used

export function powers(gamma) {
  if (!tables.has(gamma)) {
    if (tables.size > 7) tables.delete(tables.keys().next().value);
    tables.set(gamma, Float32Array.from({ length: TOP + 1 }, (_, level) => Math.pow(level / TOP, gamma)));
  }
  return tables.get(gamma);
}

export function weigh(labels, student, { gamma1, gamma2, rule }) {
  const { y_A, c_A, kept } = labels;
  const { y_B, c_B, p_B } = student;
  const [first, second] = [powers(gamma1), powers(gamma2)];
  const which = new Uint8Array(y_A.length);
  const weight = new Float32Array(y_A.length);
  for (let i = 0; i < y_A.length; i++) {
    if (!kept[i]) {
      which[i] = VOID;
      continue;
    }
    which[i] = y_B[i] === y_A[i] ? AGREE : c_B[i] > c_A[i] ? POSITIVE : NEGATIVE;
    if (rule === "uniform") weight[i] = 1;
    else if (rule === "naive" || which[i] === AGREE) weight[i] = first[p_B[i]];
    else if (which[i] === NEGATIVE) weight[i] = second[p_B[i]];
    else weight[i] = rule === "flip" ? second[TOP - c_A[i]] : 0;
  }
  return { which, weight };
}

// How a weight came about, in words and numbers.
export function formula(which, rule, { p, c_A, gamma1, gamma2 }) {
  const [pText, g1, g2] = [p.toFixed(3), `${gamma1}`, `${gamma2}`];
  if (which === VOID) return "no label kept here: this counts nowhere";
  if (rule === "uniform") return "w = 1, whatever the student says";
  if (rule === "naive") return `w = p_B^γ₁ = ${pText}^${g1}, in every case`;
  if (which === AGREE) return `w = p_B^γ₁ = ${pText}^${g1}`;
  if (which === NEGATIVE) return `w = p_B^γ₂ = ${pText}^${g2}`;
  return rule === "flip" ? `learns y_B, w = (1 − c_A)^γ₂ = ${(1 - c_A).toFixed(3)}^${g2}` : "w = 0: the student is surer of another class";
}
