// Sends images one after the other, and keeps what comes back with each.

import * as api from "./api.js";
import { heatMap } from "./colour.js";
import { announce, plural } from "./dom.js";
import { prepare } from "./paint.js";
import { keptObjects, store, update } from "./store.js";
import { paintStrip } from "./strip.js";

// Greys of no and full heat. Scores come as -4..16 standard deviations, chances of an error as 0..1.
const SCORE_HEAT = { low: 255 * (5 / 20), high: 255 * (14 / 20), from: "1 σ", to: "10 σ" };
const ERROR_HEAT = { low: 255 * 0.05, high: 255 * 0.9, from: "5 %", to: "90 %" };
const KEPT_PICTURES = 6; // decoded images in memory; others are decoded again

/** Makes an item of a file. */
export function itemOf(file, kind, id) {
  return { id, file, kind, name: file.name || "pasted image", status: "waiting", problem: "" };
}

/** Decodes the picture of an item, if the browser can. */
export async function loadPicture(item) {
  if (item.picture || item.unshowable || item.kind !== "image") return;
  try {
    item.picture = await createImageBitmap(item.file);
    item.size = { width: item.picture.width, height: item.picture.height };
    paintStrip(item, item.picture);
  } catch {
    item.unshowable = true;
  }
  const held = store.items.filter((each) => each.picture && each !== item && each !== store.current);
  for (const each of held.slice(0, Math.max(0, held.length - KEPT_PICTURES))) {
    each.picture.close();
    each.picture = undefined;
  }
  update();
}

/** Paints images that wait onto the strip, small, one after the other. */
export async function paintWaiting(items) {
  for (const item of items.filter((each) => each.kind === "image" && !each.picture)) {
    try {
      const small = await createImageBitmap(item.file, { resizeWidth: 200, resizeQuality: "medium" });
      paintStrip(item, small);
      small.close();
    } catch {
      // The answer will say what is wrong with it.
    }
  }
}

let running = false;

/** Answers images that wait, the one on show first. */
export async function runQueue() {
  if (running) return;
  running = true;
  try {
    for (;;) {
      const waiting = store.items.filter((item) => item.kind === "image" && item.status === "waiting");
      if (!waiting.length) break;
      await answer(waiting.includes(store.current) ? store.current : waiting[0]);
    }
  } finally {
    running = false;
  }
}

async function answer(item) {
  item.status = "working";
  update();
  try {
    const [result] = await Promise.all([api.predict(item.file), loadPicture(item)]);
    prepare(result);
    item.result = result;
    item.status = "done";
    announce(`${item.name}: ${plural(keptObjects(item).length, "unknown object")}`);
  } catch (error) {
    item.status = "failed";
    item.problem = error.message.replace(/^The upload\b/, `“${item.name}”`);
    announce(`${item.name}: ${error.message}`);
  }
  update();
}

/** Tries an item again. */
export function retry(item) {
  item.status = "waiting";
  item.problem = "";
  update();
  runQueue();
}

async function heatOf(blob, scale) {
  const bitmap = await createImageBitmap(blob);
  const canvas = heatMap(bitmap, scale.low, scale.high);
  bitmap.close();
  return { canvas, from: scale.from, to: scale.to };
}

/** Fetches the score map of an item once. */
export async function loadScore(item) {
  if (!item?.result || item.score || item.kind !== "image") return;
  item.score = { pending: true };
  try {
    item.score = await heatOf(await api.score(item.file), SCORE_HEAT);
  } catch (error) {
    item.score = { problem: error.message };
  }
  update();
}

/** Fetches the estimated quality of an item and its error map once. */
export async function loadFailures(item) {
  if (!item || item.kind !== "image" || item.failures || item.status === "failed") return;
  item.failures = { pending: true };
  update();
  try {
    const judged = await api.failures(item.file);
    item.failures = { judged, ...(await heatOf(await api.errorMap(item.file), ERROR_HEAT)) };
    announce(`${item.name}: segmentation judged`);
  } catch (error) {
    item.failures = { problem: error.message };
  }
  update();
}
