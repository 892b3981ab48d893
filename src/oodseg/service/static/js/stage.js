// Joins the item on show with the picture: what is drawn, what is said over it, what is under the pointer.

import { byId, make, percent, plural } from "./dom.js";
import { objectAt, paint } from "./paint.js";
import { keptObjects, store, subscribe, update } from "./store.js";
import { cancelVideo, retryVideo } from "./video.js";
import { Viewer } from "./viewer.js";
import { loadPicture, loadScore, queue, retriable, retry, runQueue } from "./work.js";

const TITLE = document.title;

function sizeOf(item) {
  return item?.result ?? item?.size ?? null;
}

function heatOf(item) {
  const heat = store.tab === "failures" ? item.failures : item.score;
  return heat?.canvas ? heat : null;
}

/** What is drawn of the item on show; bounds is the room for labels. */
export function sceneOf(item, bounds) {
  return {
    ...{ width: sizeOf(item).width, height: sizeOf(item).height },
    picture: item.picture ?? null,
    heat: heatOf(item)?.canvas ?? null,
    objects: store.tab === "objects" ? keptObjects(item) : [],
    layers: store.layers,
    lit: store.lit,
    chosen: store.chosen,
    bounds,
  };
}

/** Builds the stage; gives its viewer. */
export function startStage() {
  const canvas = byId("canvas");
  const drawable = () => store.current?.kind === "image" && sizeOf(store.current);
  const viewer = new Viewer(canvas, {
    paint: (context, view) => drawable() && paint(context, view, sceneOf(store.current, viewer.size)),
    find: (x, y, near) => (drawable() && store.tab === "objects" ? objectAt(keptObjects(store.current), x, y, near) : null),
    onHover: (id) => id !== store.lit && update({ lit: id }),
    onPick: (id) => id !== store.chosen && update({ chosen: id }),
    onView: ({ fitted, scale }) => {
      byId("zoom-value").textContent = fitted ? "Fit" : percent(scale * (window.devicePixelRatio || 1)).replace(" ", "\u202f");
    },
  });
  byId("zoom-in").addEventListener("click", () => viewer.zoomBy(1.5));
  byId("zoom-out").addEventListener("click", () => viewer.zoomBy(1 / 1.5));
  byId("zoom-fit").addEventListener("click", () => viewer.fit());
  let shown = null;
  let size = "";
  subscribe(() => {
    const item = store.current;
    if (!item) {
      shown = null;
      return clear();
    }
    if (item.kind === "image" && !item.picture) loadPicture(item);
    if (store.layers.heat.shown && store.tab === "objects") loadScore(item);
    const now = drawable() ? `${sizeOf(item).width} ${sizeOf(item).height}` : "";
    if (item !== shown || now !== size) {
      shown = item;
      size = now;
      if (now) viewer.open(sizeOf(item).width, sizeOf(item).height);
    }
    viewer.draw();
    describe(item);
    say(item);
    showVideo(item);
    showScale(item);
  });
  return viewer;
}

/** Shows nothing, as at the beginning. */
function clear() {
  document.title = TITLE;
  byId("stage-message").hidden = true;
  byId("video").pause();
}

function describe(item) {
  byId("file-name").textContent = item.name;
  byId("file-name").title = item.path;
  const facts = [];
  if (sizeOf(item)) facts.push(`${sizeOf(item).width} × ${sizeOf(item).height}`);
  if (item.result) facts.push(`${item.result.seconds.toFixed(2)} s`);
  byId("file-facts").textContent = facts.join(" · ");
  const kept = keptObjects(item);
  const words = item.result ? `${item.name}: ${plural(kept.length, "unknown object")}` : item.name;
  byId("canvas").setAttribute("aria-label", words);
  document.title = `${item.name} · oodseg`;
}

function say(item) {
  const box = byId("stage-message");
  const words = wordsOf(item);
  box.hidden = !words;
  if (!words) return;
  box.classList.toggle("bad", item.status === "failed");
  box.classList.toggle("aside", item.status === "done");
  if (byId("stage-words").textContent !== words) byId("stage-words").textContent = words;
  const bar = byId("stage-progress");
  bar.hidden = !["waiting", "working"].includes(item.status);
  const share = item.progress?.share;
  if (share == null) bar.removeAttribute("value");
  else bar.value = share;
  offer(item);
}

let offered = "";

/** What can be done about an item that has no result, by the words on the button. */
function actionsOf(item) {
  if (item.kind === "video") {
    if (item.status === "failed") return item.final ? {} : { "Try again": () => retryVideo(item) };
    if (item.status === "cancelled") return { "Look at it after all": () => retryVideo(item) };
    return item.status === "done" ? {} : { Cancel: () => cancelVideo(item) };
  }
  if (item.status === "waiting" && queue().paused) return { "Go on": runQueue };
  if (item.status !== "failed" || item.final) return {};
  const all = retriable().length;
  return { "Try again": () => retry([item]), ...(all > 1 && { [`Try all ${all} again`]: () => retry(retriable()) }) };
}

/** Offers what can be done; what is offered already stays, and with it the focus. */
function offer(item) {
  const acts = actionsOf(item);
  const now = `${item.id} ${Object.keys(acts)}`;
  if (now === offered) return;
  offered = now;
  const buttons = Object.entries(acts).map(([text, act]) => make("button", { class: "button", type: "button", text, onclick: () => {
    act();
    byId("stage").focus({ preventScroll: true });
  } }));
  const actions = byId("stage-actions");
  const focused = actions.contains(document.activeElement);
  actions.replaceChildren(...buttons);
  if (focused) (buttons[0] ?? byId("stage")).focus({ preventScroll: true });
}

function wordsOf(item) {
  if (item.status === "failed") return item.problem;
  if (item.status === "cancelled") return "This video was cancelled.";
  if (item.kind === "video") return item.status === "done" ? "" : (item.progress?.words ?? "Waiting…");
  if (item.status === "waiting") return queue().paused ? "Stopped before this image." : "Waiting for the images before it…";
  if (item.status === "working") return store.waking ? "The service is getting ready…" : "Looking for what is unknown…";
  if (item.unshowable) return "This browser cannot show the image; the outlines are right.";
  return item.foreign && !item.picture ? "This browser cannot read the image. The service sends it…" : "";
}

function showVideo(item) {
  const video = byId("video");
  const ready = item.kind === "video" && item.status === "done";
  if (!ready && !video.hidden) video.pause();
  if (ready && video.src !== item.address) video.src = item.address;
  video.hidden = !ready;
  byId("zoom").hidden = item.kind === "video" || !sizeOf(item);
}

function showScale(item) {
  const heat = item.kind === "image" && store.layers.heat.shown ? heatOf(item) : null;
  const awaited = item.kind === "image" && store.layers.heat.shown && store.tab === "objects" && item.result && !item.score?.problem;
  byId("scale").hidden = !heat && !awaited;
  byId("scale").classList.toggle("awaited", !heat);
  if (!heat) {
    byId("scale-low").textContent = "Fetching the scores…";
    byId("scale-high").textContent = "";
    return;
  }
  byId("scale-low").textContent = heat.from;
  byId("scale-high").textContent = `${heat.to} ${store.tab === "failures" ? "likely wrong" : "above usual"}`;
}
