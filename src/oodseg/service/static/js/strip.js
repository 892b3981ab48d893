// The strip of images under the picture.

import { byId, make, plural } from "./dom.js";
import { keptObjects, store, subscribe, update } from "./store.js";

const buttons = new Map();

/** Shows the image so many places further on. */
export function stepImage(step) {
  const next = store.items[store.items.indexOf(store.current) + step];
  if (next) update({ current: next, lit: null, chosen: null });
}

/** Paints an image into its place on the strip. */
export function paintStrip(item, picture) {
  const canvas = item.thumbnail ?? (item.thumbnail = make("canvas", { "aria-hidden": "true", width: 200, height: 126 }));
  const { width, height } = picture.videoWidth ? { width: picture.videoWidth, height: picture.videoHeight } : picture;
  const scale = Math.max(canvas.width / width, canvas.height / height);
  const context = canvas.getContext("2d");
  context.drawImage(picture, (canvas.width - width * scale) / 2, (canvas.height - height * scale) / 2, width * scale, height * scale);
}

function wordsOf(item) {
  if (item.status === "failed") return ["!", "could not be answered", "bad"];
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

/** Builds the strip. */
export function startStrip() {
  const list = byId("strip-list");
  const show = () => {
    byId("strip").hidden = store.items.length < 2;
    const focused = list.contains(document.activeElement);
    for (const item of store.items) {
      let parts = buttons.get(item);
      if (!parts) {
        item.thumbnail ??= make("canvas", { "aria-hidden": "true", width: 200, height: 126 });
        const badge = make("span", { class: "badge", "aria-hidden": "true" });
        const button = make("button", { type: "button", onclick: () => update({ current: item, lit: null, chosen: null }) }, item.thumbnail, badge);
        parts = { button, badge };
        buttons.set(item, parts);
        list.append(make("li", {}, button));
      }
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
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -store.items.indexOf(store.current), End: store.items.length - 1 - store.items.indexOf(store.current) };
    if (!(event.key in steps)) return;
    event.preventDefault();
    stepImage(steps[event.key]);
  });
  subscribe(show);
}
