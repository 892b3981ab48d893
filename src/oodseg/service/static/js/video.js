// A video is a job of the service: sent, followed, shown.

import * as api from "./api.js";
import { announce, byId, make, plural } from "./dom.js";
import { download } from "./save.js";
import { store, update } from "./store.js";

const ENDED = new Set(["done", "failed"]);

/** Sends a video and follows its job until it ends. */
export async function runVideo(item) {
  item.status = "working";
  item.progress = { words: "Sending the video…", share: 0 };
  update();
  try {
    const state = await api.submitVideo(item.file, store.point, (share) => {
      item.progress = { words: "Sending the video…", share };
      update();
    });
    item.job = state.id;
    await watch(item, state);
  } catch (error) {
    fail(item, error.message);
  }
  update();
}

async function watch(item, first) {
  let last = first;
  note(item, last);
  if (!ENDED.has(last.state)) {
    const { ended, stop } = api.follow(item.job, (state) => {
      last = { ...last, ...state };
      note(item, last);
      if (ENDED.has(last.state)) stop();
    });
    await ended.catch((error) => {
      if (error.name !== "AbortError") throw error;
    });
  }
  if (!ENDED.has(last.state)) last = await api.job(item.job);
  if (last.state !== "done") return fail(item, last.error ? api.sentence(last.error) : "The video could not be finished.");
  const [video, tracks] = await Promise.all([api.jobFile(item.job, "tracks.mp4"), api.jobFile(item.job, "tracks.csv")]);
  item.address = URL.createObjectURL(video);
  item.files = { "tracks.mp4": video, "tracks.csv": tracks };
  item.tracks = readTable(await tracks.text());
  item.status = "done";
  announce(`${item.name}: ${plural(item.tracks.length, "object")} followed`);
}

function note(item, { state, done, total }) {
  const words = state === "queued" ? "Waiting for its turn…" : `Frame ${done}${total ? ` of ${total}` : ""}`;
  item.progress = { words, share: total ? done / total : null };
  update();
}

function fail(item, words) {
  item.status = "failed";
  item.problem = words;
  announce(`${item.name}: ${words}`);
}

function readTable(text) {
  const [head, ...rows] = text.trim().split(/\r?\n/).map((line) => line.split(","));
  return rows.map((row) => Object.fromEntries(head.map((name, index) => [name, row[index]])));
}

/** Shows the tracks of a video in the pane of objects. */
export function showTracks(item) {
  byId("found-count").textContent = plural(item.tracks.length, "unknown object");
  byId("found-note").textContent = "Followed over the frames of the video";
  const seconds = (value) => Number(value).toFixed(1);
  const rows = item.tracks.map((track) => make("tr", {},
    make("td", { text: track.track }),
    make("td", { text: `${seconds(track.first_second)} to ${seconds(track.last_second)} s` }),
    make("td", { text: Number(track.confidence).toFixed(2) })));
  const head = make("thead", {}, make("tr", {}, ...["Object", "Seen", "Confidence"].map((text) => make("th", { scope: "col", text }))));
  const files = Object.entries(item.files).map(([name, blob]) =>
    make("button", { class: "button", type: "button", text: name, onclick: () => download(blob, name) }));
  byId("objects").replaceChildren(make("li", {}, make("table", { class: "tracks" }, head, make("tbody", {}, ...rows)), make("div", { class: "downloads" }, ...files)));
}
