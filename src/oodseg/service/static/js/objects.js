// The list of objects beside the picture. Hovering one lights it up in the picture, and the other way round.

import { wantsPaleInk } from "./colour.js";
import { announce, byId, make, percent, plural, sentence, shareOf } from "./dom.js";
import { paintThumbnail } from "./paint.js";
import { keptObjects, store, subscribe, update } from "./store.js";
import { showTracks } from "./video.js";
import { withName } from "./work.js";

/** Builds the list; `onChoose(found)` is called with the object that was chosen, or null. */
export function startObjects(onChoose) {
  const list = byId("objects");
  let listed = "";
  const show = () => {
    const item = store.current;
    const kept = keptObjects(item);
    const now = `${item?.id} ${item?.status} ${kept.map((found) => found.id)} ${Boolean(item?.picture)}`;
    if (now !== listed) {
      listed = now;
      const focused = list.contains(document.activeElement) ? document.activeElement.dataset.id : null;
      list.replaceChildren(...kept.map((found) => entry(item, found, onChoose)));
      // A keyboard stays where it was.
      if (focused) (list.querySelector(`[data-id="${focused}"]`) ?? list.lastElementChild?.firstElementChild)?.focus({ preventScroll: true });
      describe(item, kept);
      if (item?.tracks) showTracks(item);
    }
    for (const button of list.querySelectorAll(".object")) {
      const id = Number(button.dataset.id);
      button.classList.toggle("lit", store.lit === id);
      button.setAttribute("aria-pressed", String(store.chosen === id));
    }
  };
  subscribe(show);
}

/** The warnings of an answer about an item, as entries of a list. */
export function warningsOf(answer, item) {
  return (answer?.warnings ?? []).map((words) => make("li", { text: sentence(withName(words, item)) }));
}

function describe(item, kept) {
  const head = byId("found-count");
  const note = byId("found-note");
  byId("warnings").replaceChildren(...warningsOf(item?.result, item));
  if (!item?.result) {
    head.textContent = { waiting: "Waiting", working: "Looking…", failed: "No answer", cancelled: "Cancelled" }[item?.status] ?? "\u00a0";
    note.replaceChildren();
    return;
  }
  head.textContent = plural(kept.length, "unknown object");
  const readiest = store.points.reduce((best, point) =>
    keptObjects(item, point).length > keptObjects(item, best).length ? point : best, store.point);
  const more = keptObjects(item, readiest).length - kept.length;
  if (!more) {
    note.textContent = kept.length ? "Most confident first" : "Everything here looks familiar to the model.";
    return;
  }
  const button = make("button", { class: "link", type: "button", text: `${more} more when ${readiest}`, onclick: () => {
    update({ point: readiest });
    announce(plural(keptObjects(item).length, "unknown object"));
    // The button goes: the first of those that have come is next.
    queueMicrotask(() => byId("objects").children[kept.length]?.firstElementChild.focus());
  } });
  note.replaceChildren(button);
}

function entry(item, found, onChoose) {
  const { width, height } = item.result;
  const [, , boxWidth, boxHeight] = found.bbox;
  const size = `${Math.round(boxWidth)} × ${Math.round(boxHeight)} px, ${shareOf(found.area, width * height)}`;
  const canvas = make("canvas", { "aria-hidden": "true" });
  paintThumbnail(canvas, item.picture, found, item.result);
  const chip = make("span", { class: wantsPaleInk(found.colour) ? "chip pale" : "chip", text: String(found.id) });
  const share = make("i");
  share.style.setProperty("--share", percent(found.confidence).replace(" ", ""));
  const button = make(
    "button",
    {
      class: "object", type: "button", "data-id": found.id, "--chip": found.colour,
      "aria-label": `Object ${found.id}, confidence ${percent(found.confidence)}, ${size.replace("×", "by").replace("px", "pixels")} of the image`,
      onclick: () => onChoose(store.chosen === found.id ? null : found),
      onpointerenter: () => update({ lit: found.id }),
      onpointerleave: () => update({ lit: null }),
      onfocus: () => update({ lit: found.id }),
      onblur: () => update({ lit: null }),
    },
    canvas,
    make("span", {},
      make("span", { class: "line" }, chip, make("span", { class: "confidence", text: found.confidence.toFixed(2) })),
      make("span", { class: "meter" }, share),
      make("span", { class: "size", text: size })),
  );
  return make("li", {}, button);
}
