// Takes items off the list, and back onto it for as long as that is offered.

import { byId, offerUndo } from "./dom.js";
import { store, update } from "./store.js";
import { leave, runVideos } from "./video.js";
import { runQueue } from "./work.js";

/** Shows a list of items with one of them on show, or where to begin if there is none. */
export function showItems(items, current) {
  const some = items.length > 0;
  document.body.dataset.view = some ? "work" : "landing";
  byId("landing").hidden = some;
  byId("work").hidden = !some;
  update({ items, current: current ?? null, lit: null, chosen: null });
}

/** What comes to be on show: the next one that is left, or else the one before. */
function successor(items, gone) {
  if (!gone.has(store.current)) return store.current;
  const place = items.indexOf(store.current);
  const left = (item) => !gone.has(item);
  return items.slice(place).find(left) ?? items.slice(0, place).findLast(left);
}

/** Stops what is being done about an item. */
function drop(item) {
  if (item.kind === "video") leave(item);
  else item.stop?.abort();
  if (item.status === "working") Object.assign(item, { status: "waiting", progress: undefined });
  item.picture?.close();
  item.picture = undefined;
}

/** Removes items, which can be undone. */
export function remove(items) {
  const before = store.items;
  const gone = new Set(items);
  const focused = byId("strip").contains(document.activeElement);
  const current = successor(before, gone);
  items.forEach(drop);
  showItems(before.filter((item) => !gone.has(item)), current);
  const words = gone.size === 1 ? `Removed “${[...gone][0].name}”` : `Removed ${gone.size} files`;
  offerUndo(words, () => putBack(before, gone), () => gone.forEach(discard));
  queueMicrotask(() => refocus(focused));
}

/** A keyboard goes on where it was, or as near as there is something. */
function refocus(inStrip) {
  if (!store.current) return byId("choose-files").focus({ preventScroll: true });
  const place = inStrip && !byId("strip").hidden ? byId("strip").querySelector("[aria-current=true]") : null;
  if (place) place.focus({ preventScroll: true });
  else if (inStrip || document.activeElement === document.body) byId("stage").focus({ preventScroll: true });
}

function putBack(before, gone) {
  const added = store.items.filter((item) => !before.includes(item));
  const kept = before.filter((item) => gone.has(item) || store.items.includes(item));
  showItems([...kept, ...added], [...gone][0]);
  byId("stage").focus({ preventScroll: true });
  runQueue();
  runVideos();
}

function discard(item) {
  if (item.address) URL.revokeObjectURL(item.address);
}
