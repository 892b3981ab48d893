// A video is a job of the service: sent, followed, shown.

import * as api from "./api.js";
import { announce, byId, make, plural, sentence } from "./dom.js";
import { download } from "./save.js";
import { store, update } from "./store.js";
import { fail } from "./work.js";

const ENDED = new Set(["done", "failed"]);
const TRIES = 8; // to find the service again, in a row: a good minute

let following = false;

/** Works through the videos that wait, one after the other. */
export async function runVideos() {
  if (following) return;
  following = true;
  for (;;) {
    const next = store.items.find((item) => item.kind === "video" && item.status === "waiting");
    if (!next) break;
    await runVideo(next);
  }
  following = false;
}

/** Tries a video again. */
export function retryVideo(item) {
  item.status = "waiting";
  item.progress = undefined;
  update();
  runVideos();
}

async function runVideo(item) {
  item.status = "working";
  update();
  try {
    await watch(item, (await known(item)) ?? (await hand(item)));
  } catch (error) {
    fail(item, error);
  }
  update();
}

/** The state of a job that was begun before the connection was lost, or null. */
async function known(item) {
  if (!item.job) return null;
  const state = await api.job(item.job).catch((error) => {
    if (error.status !== 404) throw error;
    return null;
  });
  return state?.state === "failed" ? null : state;
}

async function hand(item) {
  const note = (share) => {
    item.progress = { words: "Sending the video…", share };
    update();
  };
  note(0);
  const state = await api.submitVideo(item.file, store.point, note);
  item.job = state.id;
  return state;
}

async function watch(item, first) {
  const last = await end(item, first);
  if (last.state !== "done") throw new Error(last.error ? sentence(last.error) : "The video could not be finished.");
  const [video, tracks] = await Promise.all([api.jobFile(item.job, "tracks.mp4"), api.jobFile(item.job, "tracks.csv")]);
  item.address = URL.createObjectURL(video);
  item.files = { "tracks.mp4": video, "tracks.csv": tracks };
  item.tracks = readTable(await tracks.text());
  item.status = "done";
  announce(`${item.name}: ${plural(item.tracks.length, "object")} followed`);
}

/** Waits until a job ends, also over connections that break off; gives its last state. */
async function end(item, first) {
  let last = first;
  let lost = 0;
  const tell = (state) => {
    last = { ...last, ...state };
    lost = 0;
    note(item, last);
  };
  tell(first);
  while (!ENDED.has(last.state)) {
    try {
      await api.follow(item.job, tell);
      if (!ENDED.has(last.state)) tell(await api.job(item.job));
    } catch (error) {
      if (error.status || lost === TRIES) throw error;
    }
    if (ENDED.has(last.state)) break;
    lost += 1;
    if (lost > 1) item.progress = { ...item.progress, words: "The service cannot be reached. Trying again…" };
    update();
    await new Promise((done) => setTimeout(done, 1000 * Math.min(2 ** (lost - 1), 15)));
  }
  return last;
}

function note(item, { state, done, total }) {
  const words = state === "queued" ? "Waiting for its turn…" : `Frame ${done}${total ? ` of ${total}` : ""}`;
  item.progress = { words, share: total ? done / total : null };
  update();
}

function readTable(text) {
  const [head, ...rows] = text.trim().split(/\r?\n/).map((line) => line.split(","));
  return rows.map((row) => Object.fromEntries(head.map((name, index) => [name, row[index]])));
}

/** Shows the tracks of a video in the pane of objects. */
export function showTracks(item) {
  byId("found-count").textContent = plural(item.tracks.length, "unknown object");
  byId("found-note").textContent = item.tracks.length ? "Followed over the frames of the video" : "In no frame of the video";
  const seconds = (value) => Number(value).toFixed(1);
  const rows = item.tracks.map((track) => make("tr", {},
    make("td", { text: track.track }),
    make("td", { text: `${seconds(track.first_second)} to ${seconds(track.last_second)} s` }),
    make("td", { text: Number(track.confidence).toFixed(2) })));
  const head = make("thead", {}, make("tr", {}, ...["Object", "Seen", "Confidence"].map((text) => make("th", { scope: "col", text }))));
  const files = Object.entries(item.files).map(([name, blob]) =>
    make("button", { class: "button", type: "button", text: name, onclick: () => download(blob, name) }));
  const table = rows.length ? make("table", { class: "tracks" }, head, make("tbody", {}, ...rows)) : null;
  byId("objects").replaceChildren(make("li", {}, table, make("div", { class: "downloads" }, ...files)));
}
