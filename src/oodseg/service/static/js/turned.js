// Decodes pictures turned as their EXIF orientation says, since the service's masks are. Browsers do that with JPEG,
// PNG and AVIF, but not all of them with WebP.

// Two pixels side by side, of which the file says that they lie on top of each other.
const PROBE = "UklGRk4AAABXRUJQVlA4WAoAAAAIAAAAAQAAAAAAVlA4TA4AAAAvAQAAAAcQEf0PRET/A0VYSUYaAAAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAA=";
// From a picture of w by h pixels to the one that is meant, by orientation.
const TURNS = {
  2: (w) => [-1, 0, 0, 1, w, 0],
  3: (w, h) => [-1, 0, 0, -1, w, h],
  4: (w, h) => [1, 0, 0, -1, 0, h],
  5: () => [0, 1, 1, 0, 0, 0],
  6: (w, h) => [0, 1, -1, 0, h, 0],
  7: (w, h) => [0, -1, -1, 0, h, w],
  8: (w) => [0, -1, 1, 0, 0, w],
};
const ORIENTATION = 0x0112;

const bytesOf = async (file, from, length) => new DataView(await file.slice(from, from + length).arrayBuffer());
const wordAt = (bytes, at) => String.fromCharCode(...[0, 1, 2, 3].map((step) => bytes.getUint8(at + step)));

/** The orientation in a block of EXIF, which is a TIFF file, sometimes behind the word Exif. */
function orientationIn(block) {
  const start = wordAt(block, 0) === "Exif" ? 6 : 0;
  const little = block.getUint8(start) === 0x49;
  const first = start + block.getUint32(start + 4, little);
  for (let left = block.getUint16(first, little), at = first + 2; left > 0; left--, at += 12) {
    if (block.getUint16(at, little) === ORIENTATION) return block.getUint16(at + 8, little);
  }
  return 1;
}

/** The orientation that a WebP file names; 1, upright, for any other file. */
async function orientationOf(file) {
  try {
    const head = await bytesOf(file, 0, 12);
    if (wordAt(head, 0) !== "RIFF" || wordAt(head, 8) !== "WEBP") return 1;
    for (let at = 12; at + 8 <= file.size; ) {
      const chunk = await bytesOf(file, at, 8);
      const length = chunk.getUint32(4, true);
      if (wordAt(chunk, 0) === "EXIF") return orientationIn(await bytesOf(file, at + 8, length));
      at += 8 + length + (length % 2);
    }
  } catch {
    // A broken block does not make the pixels unreadable.
  }
  return 1;
}

let probed;

/** Whether the browser turns WebP itself. */
async function turnsItself() {
  const bytes = Uint8Array.from(atob(PROBE), (each) => each.charCodeAt(0));
  const probe = await createImageBitmap(new Blob([bytes], { type: "image/webp" })).catch(() => null);
  return probe?.width === 1;
}

/** Decodes the picture of a file, turned as it says; `options` are those of createImageBitmap. */
export async function decodePicture(file, ...options) {
  const [picture, orientation] = await Promise.all([createImageBitmap(file, ...options), orientationOf(file)]);
  if (!TURNS[orientation] || (await (probed ??= turnsItself()))) return picture;
  const { width, height } = picture;
  const canvas = orientation < 5 ? new OffscreenCanvas(width, height) : new OffscreenCanvas(height, width);
  const context = canvas.getContext("2d");
  context.setTransform(...TURNS[orientation](width, height));
  context.drawImage(picture, 0, 0);
  picture.close();
  return canvas.transferToImageBitmap();
}
