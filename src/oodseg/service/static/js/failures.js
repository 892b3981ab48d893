// The pane of likely errors: how good a segmentation of the image is, without any truth.

import { byId, draw, make, percent, sentence } from "./dom.js";
import { warningsOf } from "./objects.js";
import { store, subscribe, update } from "./store.js";
import { loadFailures } from "./work.js";

/** Builds the pane. */
export function startFailures() {
  const pane = byId("failures");
  let of;
  let shown;
  subscribe(() => {
    if (store.tab !== "failures") return;
    const item = store.current;
    loadFailures(item);
    const { judged, problem } = item?.failures ?? {};
    const state = judged ?? problem ?? item?.status === "failed";
    if (item === of && state === shown) return;
    of = item;
    shown = state;
    pane.replaceChildren(...content(item));
  });
}

function content(item) {
  if (!item) return [];
  if (item.kind === "video") return [make("p", { class: "hint", text: "Likely errors are estimated for images, one at a time." })];
  const { judged, problem } = item.failures ?? {};
  if (problem) {
    const again = make("button", { class: "button", type: "button", text: "Try again", onclick: () => {
      item.failures = undefined;
      update();
    } });
    return [make("p", { text: problem }), make("p", { class: "downloads" }, again)];
  }
  if (!judged) {
    const words = make("p", { id: "judging", text: item.status === "failed" ? "There is no answer for this image." : "Comparing the image with what its segmentation says…" });
    return [make("div", { class: "wait" }, words, item.status === "failed" ? null : make("progress", { "aria-labelledby": "judging" }))];
  }
  const warnings = make("ul", { class: "warnings", "aria-label": "Warnings" }, ...warningsOf(judged, item));
  return [quality(judged), ...(warnings.children.length ? [warnings] : []), ...classes(judged)];
}

function quality({ mean_iou: mean, interval, error }) {
  const value = mean === null ? "none" : percent(mean);
  const words = make("p", { class: "value", text: value }, make("small", { text: " estimated mean IoU" }));
  const parts = [make("h2", { class: "sr-only", text: "Estimated quality" }), words];
  if (mean !== null) parts.push(axis(mean, interval));
  const facts = [`About ${percent(error, error < 0.1 ? 1 : 0)} of the pixels are likely wrong.`];
  if (interval) facts.unshift(`True value between ${percent(interval.low)} and ${percent(interval.high)}, with probability ${percent(interval.level)}.`);
  parts.push(make("p", { class: "hint", text: facts.join(" ") }));
  if (interval?.promise) parts.push(make("p", { class: "hint", text: sentence(interval.promise) }));
  return make("div", { class: "quality" }, ...parts);
}

function axis(mean, interval) {
  const place = (share) => 4 + 292 * share;
  const words = `Estimated mean IoU ${percent(mean)}${interval ? `, interval ${percent(interval.low)} to ${percent(interval.high)}` : ""}`;
  const drawing = draw("svg", { class: "axis", viewBox: "0 0 300 46", role: "img", "aria-label": words });
  drawing.append(draw("rect", { class: "track", x: 4, y: 12, width: 292, height: 6, rx: 3 }));
  if (interval) {
    const wide = Math.max(2, place(interval.high) - place(interval.low));
    drawing.append(draw("rect", { class: "interval", x: place(interval.low), y: 7, width: wide, height: 16, rx: 4 }));
  }
  drawing.append(draw("circle", { class: "point", cx: place(mean), cy: 15, r: 5 }));
  for (const share of [0, 0.5, 1]) {
    drawing.append(draw("text", { x: place(share), y: 40, "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle", text: percent(share) }));
  }
  return drawing;
}

function classes({ classes: judged }) {
  const known = judged.filter(({ iou }) => iou !== null).sort((a, b) => a.iou - b.iou);
  if (!known.length) return [];
  const rows = known.map(({ name, iou }) => {
    const bar = make("i", { "--share": percent(iou).replace(" ", "") });
    return make("tr", {},
      make("th", { scope: "row", text: name }),
      make("td", { class: "bar-cell" }, make("span", { class: "bar-line" }, bar)),
      make("td", { text: percent(iou) }));
  });
  const head = make("thead", {}, make("tr", {}, make("th", { scope: "col", text: "Class" }), make("td"), make("th", { scope: "col", text: "IoU" })));
  return [make("h3", { text: "By class, the worst first" }), make("table", { class: "classes" }, head, make("tbody", {}, ...rows))];
}
