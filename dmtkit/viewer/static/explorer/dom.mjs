// Plain DOM in few words.

export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && key !== "list") element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

export function select(label, options, value, onchange) {
  const box = h("select", { onchange: () => onchange(box.value), "aria-label": label });
  for (const [key, title] of options) box.append(h("option", { value: key, selected: `${key}` === `${value}` }, title));
  return h("label", { className: "dmt-field" }, h("span", {}, label), box);
}

// A slider with its value beside it; `set` moves it from outside.
export function slider(label, { min, max, step, value, show = (v) => `${v}` }, oninput) {
  const output = h("output", {}, show(value));
  const input = h("input", {
    type: "range", min, max, step, "aria-label": label,
    oninput: () => {
      describe(+input.value);
      oninput(+input.value);
    },
  });
  const describe = (v) => {
    output.textContent = show(v);
    input.setAttribute("aria-valuetext", show(v));
  };
  input.value = value;
  describe(value);
  const field = h("label", { className: "dmt-field" }, h("span", {}, label), input, output);
  const set = (v) => {
    input.value = v;
    describe(v);
  };
  return { field, input, set };
}

export function checkbox(label, checked, onchange) {
  const input = h("input", { type: "checkbox", checked, onchange: () => onchange(input.checked) });
  return { field: h("label", { className: "dmt-check" }, input, h("span", {}, label)), input };
}
