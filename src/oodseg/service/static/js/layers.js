// Switches and opacities of the layers.

import { byId, make } from "./dom.js";
import { LAYERS, store, subscribe, update } from "./store.js";

/** Whether there is such a layer on the tab that is open. */
export const hasLayer = (name) => store.tab === "objects" || name === "image" || name === "heat";

/** Switches a layer; its opacity stays. */
export function toggleLayer(name, shown = !store.layers[name].shown) {
  // Scores that did not come are asked for again.
  if (name === "heat" && shown && !store.layers.heat.shown && store.current?.score?.problem) store.current.score = undefined;
  store.layers[name].shown = shown;
  update();
}

/** Builds the switches. */
export function startLayers() {
  const rows = LAYERS.map(({ name, label }) => {
    const box = make("input", { type: "checkbox", id: `layer-${name}`, onchange: () => toggleLayer(name, box.checked) });
    const title = make("label", { for: `layer-${name}`, text: label });
    const value = make("output", { for: `opacity-${name}` });
    const range = make("input", {
      type: "range", id: `opacity-${name}`, min: 5, max: 100, step: 5,
      oninput: () => {
        store.layers[name].opacity = range.valueAsNumber / 100;
        toggleLayer(name, true);
      },
    });
    byId("layers").append(make("div", { class: "layer" }, box, title, range, value));
    return { name, row: byId("layers").lastElementChild, box, title, range, value };
  });
  const show = () => {
    byId("fold").hidden = store.current?.kind === "video"; // which has none
    for (const { name, row, box, title, range, value } of rows) {
      const { shown, opacity } = store.layers[name];
      const words = name === "heat" && store.tab === "failures" ? "Errors" : LAYERS.find((each) => each.name === name).label;
      row.classList.toggle("absent", !hasLayer(name)); // its place stays, so that nothing moves
      box.checked = shown;
      title.textContent = words;
      range.setAttribute("aria-label", `Opacity of ${words.toLowerCase()}`);
      range.value = Math.round(100 * opacity);
      value.textContent = `${Math.round(100 * opacity)} %`;
    }
  };
  byId("fold").open = !matchMedia("(max-width: 860px)").matches;
  subscribe(show);
  show();
}
