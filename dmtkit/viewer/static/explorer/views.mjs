// Which view a choice means: views come in the order in which they are likely to be wanted.

const PLACE = ["method", "student", "time", "phase"];

const fits = (view, wanted) => PLACE.every((name) => (wanted[name] ?? view[name]) === view[name]);

export const choiceOf = (view) => Object.fromEntries(PLACE.map((name) => [name, view[name]]));

// The view that is meant by `wanted`, which may name only a part; as near to `now` as there is. Null if none fits.
export function viewOf(views, wanted, now = null) {
  const possible = views.filter((view) => fits(view, wanted));
  const near = now && possible.find((view) => fits(view, { ...now, ...wanted }));
  if (near || !possible.length) return near ?? null;
  const { method, student, time } = possible[0];
  return possible.filter((view) => fits(view, { method, student, time })).at(-1);
}
