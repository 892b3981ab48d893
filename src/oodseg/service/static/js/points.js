// The slider between quiet and thorough. Of images nothing is computed again: an answer says which points keep an
// object. Videos are looked at with one point, so that another one means to look again.

import { byId, make } from "./dom.js";
import { keptObjects, store, subscribe, update } from "./store.js";
import { lookAgain } from "./video.js";

const named = (point) => point.charAt(0).toUpperCase() + point.slice(1);

/** Moves the slider by one stop. */
export function stepPoint(step) {
  const place = store.points.indexOf(store.point) + step;
  if (place >= 0 && place < store.points.length) update({ point: store.points[place] });
}

/** Orders the operating points by how many boxes they keep, as the service describes them. */
export function readPoints(described) {
  const points = Object.entries(described.operating_points ?? {})
    .sort(([, a], [, b]) => b.least_confidence - a.least_confidence)
    .map(([name]) => name);
  if (points.length) update({ points, point: points.includes(described.operating_point) ? described.operating_point : points[0] });
}

/** Says of a video with which point it is looked at, and offers another one. */
function showVideoPoint() {
  const item = store.current?.kind === "video" ? store.current : null;
  const again = byId("look-again");
  byId("video-point").hidden = !item;
  if (!item) return;
  const { point } = item;
  byId("video-point-words").textContent = point
    ? `A video is looked at with one setting. For this one it is “${point}”.`
    : "A video is looked at with one setting: the one that is chosen when it is sent.";
  // Who has the focus on it may want to come back.
  const same = !point || point === store.point;
  again.hidden = same && again !== document.activeElement;
  again.disabled = same;
  again.textContent = same ? "As it is" : `Look again with “${store.point}”`;
}

/** Builds the slider. */
export function startPoints() {
  const range = byId("point");
  byId("look-again").addEventListener("click", () => lookAgain(store.current));
  let built = "";
  range.addEventListener("input", () => update({ point: store.points[range.valueAsNumber] }));
  const build = () => {
    range.max = store.points.length - 1;
    byId("point-stops").replaceChildren(...store.points.map((_, index) => make("option", { value: index })));
    byId("stops").replaceChildren(...store.points.map((point) =>
      // The range itself is what keyboards and screen readers use.
      make("button", { type: "button", tabindex: -1, "data-point": point, onclick: () => update({ point }) })));
  };
  const show = () => {
    if (built !== store.points.join()) build();
    built = store.points.join();
    range.value = store.points.indexOf(store.point);
    const item = store.current;
    for (const stop of byId("stops").children) {
      const { point } = stop.dataset;
      const count = item?.result ? ` · ${keptObjects(item, point).length}` : "";
      stop.textContent = named(point) + count;
      stop.classList.toggle("now", point === store.point);
    }
    const count = item?.result ? `, ${keptObjects(item).length} objects` : "";
    range.setAttribute("aria-valuetext", `${named(store.point)}${count}`);
    showVideoPoint();
  };
  subscribe(show);
  show();
}
