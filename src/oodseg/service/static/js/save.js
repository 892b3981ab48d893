// What can be saved: COCO files and pictures, of the objects that the operating point keeps.

import { byId, complain, make } from "./dom.js";
import { keptObjects, store, subscribe } from "./store.js";
import { loadPicture } from "./work.js";

const LONGEST = 200; // bytes of a name, so that there is room for what comes behind it

/** A name without suffix, and no longer than a file may be called. */
export function stem(name) {
  const kept = [...(name.replace(/\.[^.]*$/, "") || name)];
  while (new TextEncoder().encode(kept.join("")).length > LONGEST) kept.pop();
  return kept.join("");
}

/** Hands a Blob to the browser as a download. */
export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 30_000);
}

/** Makes a COCO file of answered items. */
export function coco(items, point = store.point) {
  const images = [];
  const annotations = [];
  for (const item of items) {
    const { width, height } = item.result;
    images.push({ id: images.length + 1, file_name: item.path, width, height });
    for (const found of keptObjects(item, point)) {
      annotations.push({
        id: annotations.length + 1, image_id: images.length, category_id: 1, segmentation: found.segmentation,
        bbox: found.bbox, area: found.area, iscrowd: 0, score: found.confidence,
      });
    }
  }
  const { model } = items[0].result;
  const info = { description: `Unknown objects, operating point ${point}`, model };
  return { info, images, annotations, categories: [{ id: 1, name: "unknown", supercategory: "unknown" }] };
}

function saveCoco(items, name) {
  download(new Blob([JSON.stringify(coco(items))], { type: "application/json" }), name);
}

async function savePng(canvas, name) {
  const blob = await canvas.convertToBlob({ type: "image/png" });
  download(blob, name);
}

/** White where an unknown object is. */
function maskOf(item) {
  const { width, height } = item.result;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  new Uint32Array(pixels.data.buffer).fill(0xff000000);
  for (const { mask } of keptObjects(item)) {
    for (let index = 0; index < mask.data.length; index++) {
      if (!mask.data[index]) continue;
      const at = 4 * ((mask.y + Math.floor(index / mask.width)) * width + mask.x + (index % mask.width));
      pixels.data.fill(255, at, at + 3);
    }
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

const LEGIBLE = 1400; // pixels across a picture for which lines and labels are made

/** Builds the buttons; `paintPicture(item, context, view, bounds)` draws an item without zoom. */
export function startSave(paintPicture) {
  const ready = () => (store.current?.kind === "image" && store.current.result ? store.current : null);
  const on = (id, save) => byId(id).addEventListener("click", async () => {
    try {
      await save(ready());
    } catch (error) {
      complain(`This cannot be saved: ${error.message}`);
    }
  });
  on("save-coco", (item) => saveCoco([item], `${stem(item.name)}.json`));
  on("save-mask", (item) => savePng(maskOf(item), `${stem(item.name)}_mask.png`));
  on("save-picture", async (item) => {
    const { width, height } = item.result;
    await loadPicture(item);
    if (!item.picture) throw new Error("this browser cannot show the image.");
    const canvas = new OffscreenCanvas(width, height);
    const ratio = Math.max(1, width / LEGIBLE);
    const bounds = { width: width / ratio, height: height / ratio };
    paintPicture(item, canvas.getContext("2d"), { ratio, scale: 1 / ratio, left: 0, top: 0 }, bounds);
    await savePng(canvas, `${stem(item.name)}_objects.png`);
  });
  const answered = () => store.items.filter((item) => item.kind === "image" && item.result);
  on("save-all", () => saveCoco(answered(), "objects.json"));
  subscribe(() => {
    for (const id of ["save-coco", "save-mask", "save-picture"]) byId(id).disabled = !ready();
    if (store.current?.unshowable) byId("save-picture").disabled = true;
    const images = store.items.filter((item) => item.kind === "image");
    const { length } = answered();
    byId("save-all").hidden = images.length < 2; // from the beginning, so that nothing moves when answers come
    byId("save-all").disabled = !length;
    const some = length === images.length ? "all" : `the ${length} that are done of ${images.length}`;
    byId("save-all").title = `Objects of ${some} images as one COCO file`;
  });
}
