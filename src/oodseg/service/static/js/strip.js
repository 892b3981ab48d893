// The strip of images under the picture.

import { announce, byId, make, plural } from "./dom.js";
import { keptObjects, store, subscribe, update } from "./store.js";

const buttons = new Map();

/** Shows the image so many places further on. */
export function stepImage(step) {
  const next = store.items[store.items.indexOf(store.current) + step];
  if (!next) return;
  update({ current: next, lit: null, chosen: null });
  announce(`${next.name}: ${wordsOf(next)[1]}`);
}

/** Paints an image into its place on the strip. */
export function paintStrip(item, picture) {
  const canvas = item.thumbnail ?? (item.thumbnail = make("canvas", { "aria-hidden": "true", width: 200, height: 126 }));
  const { width, height } = picture;
  const scale = Math.max(canvas.width / width, canvas.height / height);
  const context = canvas.getContext("2d");
  item.painted = true;
  context.drawImage(picture, (canvas.width - width * scale) / 2, (canvas.height - height * scale) / 2, width * scale, height * scale);
}

function wordsOf(item) {
  if (item.status === "failed") return ["!", "could not be answered", "bad"];
  if (item.status === "cancelled") return ["–", "cancelled", ""];
  if (item.kind === "video") return [item.status === "done" ? "▶" : "…", item.status === "done" ? "video, done" : "video, in work", ""];
  if (item.status !== "done") return ["…", "waiting", ""];
  const count = keptObjects(item).length;
  return [String(count), plural(count, "object").toLowerCase(), count ? "some" : ""];
}

/** Scrolls the strip, and nothing but it, to a button; takes the focus along. */
function reveal(list, button, focused) {
  if (focused) button.focus({ preventScroll: true });
  const [room, own] = [list.getBoundingClientRect(), button.getBoundingClientRect()];
  const spare = own.width / 2;
  if (own.left < room.left + spare) list.scrollLeft += own.left - room.left - spare;
  else if (own.right > room.right - spare) list.scrollLeft += own.right - room.right + spare;
}

function build(item, onRemove) {
  item.thumbnail ??= make("canvas", { "aria-hidden": "true", width: 200, height: 126 });
  const badge = make("span", { class: "badge", "aria-hidden": "true" });
  const open = () => update({ current: item, lit: null, chosen: null });
  const button = make("button", { class: "thumb", type: "button", onclick: open }, item.thumbnail, badge);
  // The tabulator passes it by: Delete does the same.
  const cross = make("button", { class: "cross", type: "button", tabindex: -1, text: "×", "aria-label": `Remove ${item.name}`, onclick: () => onRemove([item]) });
  return { place: make("li", {}, button, cross), button, badge };
}

/** Builds the strip; `onRemove(items)` is called with what is not wanted any more. */
export function startStrip(onRemove) {
  const list = byId("strip-list");
  let laid = null;
  const lay = () => {
    laid = store.items;
    const wanted = new Set(laid);
    for (const [item, { place }] of buttons) {
      if (wanted.has(item)) continue;
      place.remove();
      buttons.delete(item);
    }
    laid.forEach((item, index) => {
      if (!buttons.has(item)) buttons.set(item, build(item, onRemove));
      const { place } = buttons.get(item);
      if (list.children[index] !== place) list.insertBefore(place, list.children[index] ?? null);
    });
  };
  byId("clear").addEventListener("click", () => onRemove(store.items));
  const show = () => {
    const focused = list.contains(document.activeElement);
    if (laid !== store.items) lay();
    byId("strip").hidden = store.items.length < 2;
    for (const item of store.items) {
      const parts = buttons.get(item);
      const current = item === store.current;
      const [short, long, kind] = wordsOf(item);
      const now = `${short} ${long} ${current}`;
      if (parts.now === now) continue; // of hundreds, few change
      parts.now = now;
      parts.badge.textContent = short;
      parts.badge.className = `badge ${kind}`;
      parts.button.setAttribute("aria-label", `${item.name}: ${long}`);
      parts.button.setAttribute("aria-current", String(current));
      // One stop for the tabulator, however many images there are.
      parts.button.tabIndex = current ? 0 : -1;
      if (current) reveal(list, parts.button, focused);
    }
  };
  list.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Delete") {
      event.preventDefault();
      return onRemove([store.current]);
    }
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -store.items.indexOf(store.current), End: store.items.length - 1 - store.items.indexOf(store.current) };
    if (!(event.key in steps)) return;
    event.preventDefault();
    stepImage(steps[event.key]);
  });
  subscribe(show);
}
