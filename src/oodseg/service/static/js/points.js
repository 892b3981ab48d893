// The slider between quiet and thorough. Nothing is computed again: an answer says which points keep an object.

import { byId, make } from "./dom.js";
import { keptObjects, store, subscribe, update } from "./store.js";

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

/** Builds the slider. */
export function startPoints() {
  const range = byId("point");
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
  };
  subscribe(show);
  show();
}
