// Keys of the whole page. They can be switched off, since some input aids type letters on their own.

import { byId, closeLast, recall, remember } from "./dom.js";
import { chooseFiles } from "./intake.js";
import { hasLayer, toggleLayer } from "./layers.js";
import { stepPoint } from "./points.js";
import { LAYERS, store, update } from "./store.js";
import { stepImage } from "./strip.js";

const SWITCH = "oodseg-keys";

/** Listens to keys; `viewer` zooms, `onTab()` changes the tab, `onRemove(items)` removes them from the list. */
export function startKeys(viewer, onTab, onRemove) {
  const enabled = byId("keys-on");
  enabled.checked = recall(SWITCH) !== "off";
  enabled.addEventListener("change", () => remember(SWITCH, enabled.checked ? "on" : "off"));
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  const actions = {
    ArrowLeft: () => stepImage(-1),
    ArrowRight: () => stepImage(1),
    "[": () => stepPoint(-1),
    "]": () => stepPoint(1),
    Escape: () => {
      update({ chosen: null, lit: null });
      viewer.fit();
    },
    Delete: () => store.current && onRemove([store.current]),
    e: onTab,
    o: chooseFiles,
    "?": () => byId("help").showModal(),
    ...Object.fromEntries(LAYERS.map(({ name }, index) => [String(index + 1), () => hasLayer(name) && toggleLayer(name)])),
  };
  byId("stage").addEventListener("keydown", (event) => {
    if (event.target.closest("button, video") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (viewer.key(event.key)) {
      // A fitted picture has nowhere to go: the arrows change the image then.
      const arrow = event.key.startsWith("Arrow");
      if (arrow && viewer.fitted) return;
      event.preventDefault();
      event.stopPropagation();
    }
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.target.closest("dialog") && closeLast()) return event.preventDefault();
    if (!enabled.checked || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest("input:not([type=checkbox], [type=range]), dialog, video")) return;
    // Sliders, tabs and the strip have arrows of their own.
    if (event.key.length > 1 && !["Escape", "Delete"].includes(event.key) && event.target.closest("input[type=range], [role=tab], .strip")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (actions[key]) actions[key]();
    else if (!viewer.key(key)) return;
    event.preventDefault();
  });
}
