// Sends images one after the other, and keeps what comes back with each.

import * as api from "./api.js";
import { heatMap } from "./colour.js";
import { announce, complain, make, plural, sentence } from "./dom.js";
import { prepare } from "./paint.js";
import { keptObjects, store, update } from "./store.js";
import { paintStrip } from "./strip.js";
import { decodePicture } from "./turned.js";

// Greys of no and full heat. Scores come as -4..16 standard deviations, chances of an error as 0..1.
const SCORE_HEAT = { low: 255 * (5 / 20), high: 255 * (14 / 20), from: "1 σ", to: "10 σ" };
const ERROR_HEAT = { low: 255 * 0.05, high: 255 * 0.9, from: "5 %", to: "90 %" };
// What is kept decoded beside the image on show; the rest is decoded again when it is wanted.
const KEPT_PICTURES = { count: 6, pixels: 60e6 };
const KEPT_MAPS = { count: 4, pixels: 60e6 };
const FINAL = new Set([413, 415, 422]); // the same file gets the same answer

/** Makes an item of a file; `path` is its name with the folders that it was chosen with. */
export function itemOf(file, kind, id, path) {
  return { id, file, kind, path, name: file.name || "pasted image", status: "waiting", problem: "" };
}

/** Calls the upload, of which the service knows no name, as people do. */
export const withName = (words, item) => words.replace(/\bthe upload\b/gi, () => `“${item.name}”`);

/** Says what went wrong with an item. */
export const wordsOf = (error, item) => withName(error.message, item);

/** Notes that an item has no answer, and why. */
export function fail(item, error) {
  item.status = "failed";
  item.problem = wordsOf(error, item);
  item.final = FINAL.has(error.status);
  if (item === store.current) announce(`${item.name}: ${item.problem}`);
}

/** Drops what was looked at longest ago until the rest, given with the latest last, is within bounds. */
function dropOldest(held, most, drop) {
  let pixels = held.reduce((sum, [, { width, height }]) => sum + width * height, 0);
  for (let left = held.length; held.length && (left > most.count || pixels > most.pixels); left--) {
    const [item, { width, height }] = held.shift();
    pixels -= width * height;
    drop(item);
  }
}

const others = (what) => store.items.filter((item) => item !== store.current && what(item)).sort((a, b) => a.seen - b.seen)
  .map((item) => [item, what(item)]);
let looks = 0;

/** Decodes the picture of an item; where the browser cannot, gets it from the service once that has read it. */
export async function loadPicture(item) {
  if (item.picture || item.unshowable || item.kind !== "image" || (item.foreign && !item.result)) return;
  item.decoding ??= decode(item);
  await item.decoding;
}

async function decode(item) {
  item.seen = ++looks;
  try {
    item.picture = await decodePicture(item.foreign ? await api.image(item.file) : item.file);
    item.size = { width: item.picture.width, height: item.picture.height };
    paintStrip(item, item.picture);
  } catch {
    cannotShow(item);
  }
  item.decoding = undefined;
  refuseMisfit(item);
  dropOldest(others((each) => each.picture), KEPT_PICTURES, (each) => {
    each.picture.close();
    each.picture = undefined;
  });
  update();
}

function cannotShow(item) {
  item.unshowable = item.foreign;
  item.foreign = true;
}

/** Drops a picture of another size than the answer: no mask would fit it. */
function refuseMisfit(item) {
  const { picture, result } = item;
  if (!picture || !result || (picture.width === result.width && picture.height === result.height)) return;
  picture.close();
  Object.assign(item, { picture: undefined, size: undefined });
  cannotShow(item);
}

const PATIENCE = 20; // seconds for a browser to say whether it can show a video

/** A frame near the beginning of a video that the browser can show, on a video element. */
async function firstFrame(file) {
  const video = make("video", { preload: "auto" });
  video.muted = true;
  video.src = URL.createObjectURL(file);
  try {
    await new Promise((done, fail) => {
      Object.assign(video, { onloadeddata: done, onerror: fail });
      setTimeout(fail, 1000 * PATIENCE);
    });
    return await createImageBitmap(video, { resizeWidth: 200, resizeQuality: "medium" });
  } finally {
    URL.revokeObjectURL(video.src);
    video.removeAttribute("src");
  }
}

/** Paints items onto the strip, small, one after the other. */
export async function paintWaiting(items) {
  for (const item of items) {
    if (item.painted) continue;
    try {
      if (item.kind === "video") {
        const frame = await firstFrame(item.file);
        paintStrip(item, frame);
        frame.close();
        continue;
      }
      const small = await decodePicture(item.file, { resizeWidth: 200, resizeQuality: "medium" });
      paintStrip(item, small);
      small.close();
    } catch {
      // The answer will say what is wrong with it.
    }
  }
}

let running = false;
let paused = false;

/** The images that wait, and whether they wait to be told to go on. */
export const queue = () => ({ waiting: store.items.filter((item) => item.kind === "image" && item.status === "waiting"), paused });

/** Sends no further image until `runQueue` is called; the one that is being looked at is finished. */
export function pauseQueue() {
  paused = true;
  update();
}

/** Answers images that wait, the one on show first. */
export async function runQueue() {
  paused = false;
  update();
  if (running) return;
  running = true;
  let answered = 0;
  try {
    for (;;) {
      const { waiting } = queue();
      if (paused || !waiting.length) break;
      await answer(waiting.includes(store.current) ? store.current : waiting[0]);
      answered += 1;
    }
  } finally {
    running = false;
  }
  if (answered > 1) announce(`${answered} images looked at`);
}

async function answer(item) {
  item.status = "working";
  item.stop = new AbortController();
  const { signal } = item.stop;
  update();
  try {
    const [result] = await Promise.all([api.predict(item.file, signal), item === store.current ? loadPicture(item) : null]);
    prepare(result);
    item.result = result;
    item.status = "done";
    refuseMisfit(item);
    // Of many images, those that nobody looks at are told of at the end.
    if (item === store.current) announce([`${item.name}: ${plural(keptObjects(item).length, "unknown object")}`, ...result.warnings.map((words) => sentence(withName(words, item)))].join(". "));
  } catch (error) {
    if (signal.aborted) return; // it is not wanted any more
    fail(item, error);
  }
  update();
}

/** Tries images again. */
export function retry(items) {
  for (const item of items) Object.assign(item, { status: "waiting", problem: "" });
  update();
  runQueue();
}

/** The failed images for which another try makes sense. */
export const retriable = () => store.items.filter((item) => item.kind === "image" && item.status === "failed" && !item.final);

async function mapOf(blob, scale) {
  const bitmap = await createImageBitmap(blob);
  const canvas = heatMap(bitmap, scale.low, scale.high);
  bitmap.close();
  return { blob, canvas, from: scale.from, to: scale.to };
}

// One at a time: who goes through a folder quickly would fill the service with what nobody looks at any more.
// What is on show by then comes next, since every change asks for it.
const fetching = new Set();

async function alone(kind, item, fetch) {
  if (fetching.has(kind)) return;
  fetching.add(kind);
  try {
    item[kind] = await fetch();
  } catch (error) {
    item[kind] = { problem: wordsOf(error, item) };
  }
  fetching.delete(kind);
  item.seen = ++looks;
  dropOldest(others((each) => each[kind]?.canvas), KEPT_MAPS, (each) => {
    each[kind] = { ...each[kind], canvas: undefined };
  });
  update();
}

/** Fetches the score map of an item, if it is not there. */
export async function loadScore(item) {
  if (!item?.result || item.kind !== "image" || item.score?.canvas || item.score?.problem) return;
  await alone("score", item, async () => mapOf(item.score?.blob ?? (await api.score(item.file)), SCORE_HEAT));
  if (item.score?.problem) complain(`No scores of “${item.name}”: ${item.score.problem}`);
}

/** Fetches the estimated quality of an item and its error map, if they are not there. */
export async function loadFailures(item) {
  if (!item || item.kind !== "image" || item.status === "failed" || item.failures?.canvas || item.failures?.problem) return;
  const first = !item.failures;
  await alone("failures", item, async () => {
    const judged = item.failures?.judged ?? (await api.failures(item.file));
    return { judged, ...(await mapOf(item.failures?.blob ?? (await api.errorMap(item.file)), ERROR_HEAT)) };
  });
  if (first && item.failures?.judged && item === store.current) announce(`${item.name}: segmentation judged`);
}
