// Packs: zlib-compressed arrays of fixed order, as dmtkit/viewer/packs.py writes them.

export async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// layout: [name, array type, number of elements], one after the other in the buffer
export function split(buffer, layout) {
  const found = {};
  let offset = 0;
  for (const [name, Kind, count] of layout) {
    found[name] = new Kind(buffer, offset, count);
    offset += count * Kind.BYTES_PER_ELEMENT;
  }
  if (offset !== buffer.byteLength) throw new Error(`a pack holds ${buffer.byteLength} bytes, expected ${offset}`);
  return found;
}

// What each of the three kinds of pack holds, for `count` elements (pixels, or whole images of `area` pixels).
export const LAYOUTS = {
  image: (count, area) => [["rgb", Uint8Array, count * area * 3], ["truth", Uint8Array, count]],
  labels: (count) => [["c_A", Uint16Array, count], ["y_A", Uint8Array, count], ["kept", Uint8Array, count]],
  student: (count) => [["c_B", Uint16Array, count], ["p_B", Uint16Array, count], ["y_B", Uint8Array, count]],
};
