// Colours come from Python (dmtkit.results.style), so that the explorer and the figures look alike.

export const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

export function palette(index) {
  const none = rgb(index.void_colour);
  const table = (hexes, size) => {
    const found = Uint8Array.from({ length: 3 * size }, (_, i) => none[i % 3]);
    hexes.forEach((hex, k) => found.set(rgb(hex), 3 * k));
    return found; // what has no colour of its own, such as class 255, is void
  };
  return {
    classes: table(index.colours, 256),
    cases: table(index.cases.map((one) => one.colour), 256),
    weights: table(index.weight_map, 257), // 256 levels, and void
    void: none,
  };
}

export const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

export const weightColour = (colours, weight) => {
  const at = 3 * Math.round(255 * weight);
  return [...colours.weights.subarray(at, at + 3)];
};

const tiles = new Map();

// A hatch for what must not be told by colour alone.
export function hatch(context, kind, colour, size = 7) {
  const name = `${kind} ${colour} ${size}`;
  if (!tiles.has(name)) tiles.set(name, hatchTile(kind, colour, size));
  return context.createPattern(tiles.get(name), "repeat");
}

function hatchTile(kind, colour, size) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const pen = tile.getContext("2d");
  pen.strokeStyle = colour;
  pen.lineWidth = 1.2;
  pen.beginPath();
  pen.moveTo(0, size);
  pen.lineTo(size, 0);
  if (kind === "cross") {
    pen.moveTo(0, 0);
    pen.lineTo(size, size);
  }
  pen.stroke();
  return tile;
}
