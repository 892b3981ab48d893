// COCO's compressed run lengths: to pixels, and to outlines.

/** Unpacks run lengths: five bits a character, lowest first; from the fourth on differences to the run before the last. */
export function runLengths(counts) {
  const runs = [];
  let number = 0;
  let shift = 0;
  for (let index = 0; index < counts.length; index++) {
    const chunk = counts.charCodeAt(index) - 48;
    number |= (chunk & 31) << shift;
    shift += 5;
    if (chunk & 32) continue;
    if (chunk & 16 && shift < 32) number |= -1 << shift;
    runs.push(runs.length > 2 ? number + runs[runs.length - 2] : number);
    number = 0;
    shift = 0;
  }
  return runs;
}

/**
 * Decodes a mask within its box.
 * Gives {x, y, width, height, data}: data is 1 inside, row by row.
 */
export function decode(segmentation, [left, top, boxWidth, boxHeight]) {
  const [rows] = segmentation.size;
  const x = Math.floor(left);
  const y = Math.floor(top);
  const width = Math.ceil(left + boxWidth) - x;
  const height = Math.ceil(top + boxHeight) - y;
  const data = new Uint8Array(width * height);
  let position = 0;
  runLengths(segmentation.counts).forEach((length, index) => {
    if (index % 2) fillRun(data, { x, y, width, height }, rows, position, position + length);
    position += length;
  });
  return { x, y, width, height, data };
}

function fillRun(data, box, rows, start, end) {
  // Runs go down the columns.
  for (let column = Math.floor(start / rows); column * rows < end; column++) {
    const along = column - box.x;
    if (along < 0 || along >= box.width) continue;
    const from = Math.max(start - column * rows, box.y);
    const to = Math.min(end - column * rows, box.y + box.height);
    for (let row = from; row < to; row++) data[(row - box.y) * box.width + along] = 1;
  }
}

/** Whether a pixel of the image lies in a decoded mask. */
export function holds(mask, x, y) {
  const column = Math.floor(x) - mask.x;
  const row = Math.floor(y) - mask.y;
  if (column < 0 || row < 0 || column >= mask.width || row >= mask.height) return false;
  return mask.data[row * mask.width + column] === 1;
}

/**
 * Traces the borders of a decoded mask along the edges of its pixels.
 * Gives closed polygons, each [x0, y0, x1, y1, ...] in pixels of the image; holes are polygons too.
 */
export function outlines(mask) {
  const { width, height, data } = mask;
  const stride = width + 1;
  const inside = (column, row) => column >= 0 && row >= 0 && column < width && row < height && data[row * width + column];
  // Edges with the mask on their right hand; two can leave one corner.
  const leaving = new Map();
  const add = (from, to) => {
    const known = leaving.get(from);
    if (known) known.push(to);
    else leaving.set(from, [to]);
  };
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      if (!data[row * width + column]) continue;
      const corner = row * stride + column;
      if (!inside(column, row - 1)) add(corner, corner + 1);
      if (!inside(column + 1, row)) add(corner + 1, corner + 1 + stride);
      if (!inside(column, row + 1)) add(corner + 1 + stride, corner + stride);
      if (!inside(column - 1, row)) add(corner + stride, corner);
    }
  }
  const polygons = [];
  for (const start of leaving.keys()) {
    while (leaving.get(start)?.length) polygons.push(walk(leaving, start, stride, mask));
  }
  return polygons;
}

function walk(leaving, start, stride, mask) {
  const points = [];
  let at = start;
  let direction = 0;
  do {
    const next = leaving.get(at).pop();
    if (next - at !== direction) points.push(mask.x + (at % stride), mask.y + Math.floor(at / stride));
    direction = next - at;
    at = next;
  } while (at !== start);
  return points;
}

/** Makes a Path2D of polygons; fill it with the rule "evenodd". */
export function toPath(polygons) {
  const path = new Path2D();
  for (const points of polygons) {
    path.moveTo(points[0], points[1]);
    for (let index = 2; index < points.length; index += 2) path.lineTo(points[index], points[index + 1]);
    path.closePath();
  }
  return path;
}
