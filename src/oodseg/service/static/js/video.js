// A video is a job of the service: sent, followed, shown.

import * as api from "./api.js";
import { announce, byId, complain, make, plural, sentence } from "./dom.js";
import { download, stem } from "./save.js";
import { store, update } from "./store.js";
import { fail } from "./work.js";

const ENDED = new Set(["done", "failed"]);
const FILES = ["tracks.mp4", "tracks.csv", "tracks.json"];
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

/** Looks at a video once more, from its beginning, with the operating point that is chosen now. */
export function lookAgain(item) {
  leave(item);
  Object.assign(item, { tracks: undefined, files: undefined, point: undefined });
  retryVideo(item);
  announce(`${item.name}: looked at again when ${store.point}`);
}

/** Stops a video wherever it is, on the service, too. */
export function cancelVideo(item) {
  leave(item);
  Object.assign(item, { status: "cancelled", point: undefined, progress: undefined });
  announce(`${item.name}: cancelled`);
  update();
}

/** Asks no more about a video, and has the service forget it. */
export function leave(item) {
  item.stop?.abort();
  forget(item.job);
  item.job = undefined;
}

function forget(job) {
  if (job) api.removeJob(job).catch((error) => complain(`The service still has the video: ${error.message}`));
}

async function runVideo(item) {
  item.status = "working";
  item.point ??= store.point;
  item.stop = new AbortController();
  const { signal } = item.stop;
  update();
  try {
    await watch(item, (await known(item, signal)) ?? (await hand(item, signal)), signal);
  } catch (error) {
    if (signal.aborted) return; // whoever broke it off says what it is now
    fail(item, error);
  }
  update();
}

/** The state of a job that was begun before the connection was lost, or null. */
async function known(item, signal) {
  if (!item.job) return null;
  const state = await api.job(item.job, signal).catch((error) => {
    if (error.status !== 404) throw error;
    return null;
  });
  return state?.state === "failed" ? null : state;
}

async function hand(item, signal) {
  const note = (share) => {
    if (signal.aborted) return;
    item.progress = { words: "Sending the video…", share };
    update();
  };
  note(0);
  item.point = store.point;
  const state = await api.submitVideo(item.file, item.point, note, signal);
  if (signal.aborted) {
    forget(state.id);
    throw signal.reason;
  }
  item.job = state.id;
  return state;
}

async function watch(item, first, signal) {
  const last = await end(item, first, signal);
  if (last.state !== "done") throw new Error(last.error ? sentence(last.error) : "The video could not be finished.");
  const [video, tracks, document] = await Promise.all(FILES.map((name) => api.jobFile(item.job, name, signal)));
  if (item.address) URL.revokeObjectURL(item.address);
  item.address = URL.createObjectURL(video);
  item.files = { "tracks.mp4": video, "tracks.csv": tracks, "tracks.json": document };
  item.tracks = readTable(await tracks.text());
  item.status = "done";
  announce(`${item.name}: ${plural(item.tracks.length, "object")} followed`);
}

/** Waits until a job ends, also over connections that break off; gives its last state. */
async function end(item, first, signal) {
  let last = first;
  let lost = 0;
  const tell = (state) => {
    if (signal.aborted) return;
    last = { ...last, ...state };
    lost = 0;
    note(item, last);
  };
  tell(first);
  while (!ENDED.has(last.state)) {
    try {
      await api.follow(item.job, tell, signal);
      if (!ENDED.has(last.state)) tell(await api.job(item.job, signal));
    } catch (error) {
      if (signal.aborted || error.status || lost === TRIES) throw error;
    }
    if (ENDED.has(last.state)) break;
    lost += 1;
    if (lost > 1) item.progress = { ...item.progress, words: "The service cannot be reached. Trying again…" };
    update();
    await api.pause(Math.min(2 ** (lost - 1), 15), signal);
  }
  return last;
}

function note(item, { state, done, total }) {
  const left = state === "running" && total ? timeLeft(item, done, total) : "";
  const words = state === "queued" ? "Waiting for its turn…" : `Frame ${done}${total ? ` of ${total}` : ""}${left}`;
  item.progress = { ...item.progress, words, share: total ? done / total : null };
  update();
}

const ENOUGH = 3; // frames from which on their pace is told

/** How long the rest takes at the pace so far, in words. */
function timeLeft(item, done, total) {
  const now = performance.now();
  const first = (item.progress.first ??= { done, now });
  if (done - first.done < ENOUGH || done >= total) return "";
  const seconds = ((total - done) * (now - first.now)) / (1000 * (done - first.done));
  return seconds < 60 ? ", less than a minute left" : `, about ${Math.round(seconds / 60)} min left`;
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
    make("button", { class: "button", type: "button", text: name, onclick: () => download(blob, `${stem(item.name)}_${name}`) }));
  const table = rows.length ? make("table", { class: "tracks" }, head, make("tbody", {}, ...rows)) : null;
  byId("objects").replaceChildren(make("li", {}, table, make("div", { class: "downloads" }, ...files)));
}
