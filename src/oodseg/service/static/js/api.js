// Talks to the service. Every failure becomes an Error whose message is a sentence for people.

import { sentence } from "./dom.js";
import * as keys from "./key.js";

// For answers that are not the service's own, such as those of a proxy before it.
const PLAIN = {
  400: "the request cannot be read",
  404: "there is no such thing on this service",
  408: "the file came too slowly: try again",
  413: "the file is too large for this service: choose a smaller one",
  415: "this is no image or video that can be read",
  422: "the file cannot be used",
  429: "the service is busy: try again in a moment",
  502: "the service does not answer: try again in a moment",
  503: "the service is busy: try again in a moment",
  504: "the service does not answer: try again in a moment",
};
const UNREACHABLE = "The service cannot be reached: is it still running?";
const LONGEST = 30; // seconds to wait before asking a busy service again

let limits = {};

/** Makes an Error of what the service answered; `document` is what it said in JSON, or null. */
function problemOf(status, document, retryAfter) {
  const said = [document?.detail, document?.title].find((words) => typeof words === "string" && words.trim());
  const error = new Error(sentence(said ?? PLAIN[status] ?? `the service answered ${status}`));
  if (status === 500 && document?.request_id) error.message += ` The request_id is ${document.request_id}.`;
  error.status = status;
  error.kind = String(document?.type ?? "").split("#").pop();
  error.retryAfter = Math.min(Number(retryAfter) || 2, LONGEST);
  return error;
}

/** Waits; ends early, with an error, where a signal says that nobody waits any more. */
export const pause = (seconds, signal) => new Promise((done, fail) => {
  const stop = () => fail(signal.reason);
  if (signal?.aborted) return stop();
  signal?.addEventListener("abort", stop, { once: true });
  setTimeout(() => {
    signal?.removeEventListener("abort", stop);
    done();
  }, 1000 * seconds);
});

// A busy service says when to come back; what takes too long once may be tried once more.
function mayRetry(problem, tried, tries) {
  if ((problem.status !== 429 && problem.status !== 503) || problem.kind === "no-models") return false;
  return tried < (problem.kind === "out-of-time" ? Math.min(tries, 1) : tries);
}

async function request(path, options = {}, tries = 20) {
  for (let tried = 0; ; ) {
    const key = keys.current();
    const response = await fetch(path, { ...options, headers: { ...options.headers, ...keys.headers(key) } }).catch((error) => {
      throw options.signal?.aborted ? error : new Error(UNREACHABLE);
    });
    if (response.ok) return response;
    if (response.status === 401) {
      await keys.renew(key);
      continue;
    }
    const problem = problemOf(response.status, await response.json().catch(() => null), response.headers.get("Retry-After"));
    if (!mayRetry(problem, tried, tries)) throw problem;
    tried += 1;
    await pause(problem.retryAfter, options.signal);
  }
}

/** Refuses a file that the service would refuse, without sending it. */
function checkSize(file, kind) {
  const most = limits[`${kind}_bytes`];
  if (!most || file.size <= most) return;
  const size = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
  const error = new Error(`The upload has ${size(file.size)}, this service takes at most ${size(most)}: choose a smaller file.`);
  error.status = 413;
  throw error;
}

/** Explains why a file could not be sent, if the file itself is why. */
async function reasonOf(error, file) {
  if (error.status) return error;
  const readable = await file.slice(0, 1).arrayBuffer().then(() => true, () => false);
  return readable ? error : new Error("The upload cannot be read any more: if it was moved or changed, choose it again.");
}

async function send(path, file, accept, signal) {
  checkSize(file, "image");
  const body = new FormData();
  body.append("image", file, "image"); // names of files stay here
  try {
    return await request(path, { method: "POST", body, headers: { Accept: accept }, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw await reasonOf(error, file);
  }
}

/** Describes the models: name, operating points, classes of the failure detector. Waits until they are loaded. */
export async function model() {
  const described = await (await request("v1/model", { headers: { Accept: "application/json" } }, 300)).json();
  limits = described.limits ?? {};
  return described;
}

/** Lists the drawn examples. */
export async function examples() {
  const found = await (await request("v1/examples", {}, 0)).json();
  return found.examples ?? found;
}

/** Fetches an example as a File. */
export async function example(name) {
  const blob = await (await request(`v1/examples/${encodeURIComponent(name)}`)).blob();
  const suffix = blob.type === "image/png" ? "png" : "jpg";
  return new File([blob], /\.\w+$/.test(name) ? name : `${name}.${suffix}`, { type: blob.type });
}

/** Finds the objects of an image, also those below the operating point. */
export async function predict(file, signal) {
  return (await send("v1/predict?all=1", file, "application/json", signal)).json();
}

/** An image as the service has read it, as PNG: for what a browser cannot read. */
export async function image(file) {
  return (await send("v1/predict?view=image&all=1", file, "image/png")).blob();
}

/** The anomaly score of an image as a grey picture. */
export async function score(file) {
  return (await send("v1/predict?view=score", file, "image/png")).blob();
}

/** Estimates how good a segmentation of the image is. */
export async function failures(file) {
  return (await send("v1/failures", file, "application/json")).json();
}

/** The chance that a pixel is segmented wrongly, as a grey picture. */
export async function errorMap(file) {
  return (await send("v1/failures?view=error", file, "image/png")).blob();
}

/** Hands in a video; gives the job, also to who broke off when all was sent: then there is one. */
export async function submitVideo(file, point, onProgress, signal) {
  checkSize(file, "video");
  for (;;) {
    signal.throwIfAborted();
    const key = keys.current();
    const { status, document } = await sendVideo(`v1/jobs?operating_point=${encodeURIComponent(point)}`, file, key, onProgress, signal);
    if (status >= 200 && status < 300 && document) return document;
    if (status !== 401) throw problemOf(status, document);
    await keys.renew(key);
  }
}

// XMLHttpRequest, since fetch does not tell how much of a body is sent.
function sendVideo(path, file, key, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let sent = false;
    signal.addEventListener("abort", () => sent || request.abort(), { once: true });
    request.upload.onload = () => {
      sent = true;
    };
    request.onabort = () => reject(signal.reason);
    request.open("POST", path);
    request.responseType = "json";
    for (const [name, value] of Object.entries(keys.headers(key))) request.setRequestHeader(name, value);
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => onProgress(event.total ? event.loaded / event.total : 0);
    request.onload = () => resolve({ status: request.status, document: request.response });
    request.onerror = async () => reject(await reasonOf(new Error("The video could not be sent: is the service still running?"), file));
    const body = new FormData();
    body.append("video", file, "video");
    request.send(body);
  });
}

/** The state of a job. */
export async function job(id, signal) {
  return (await request(`v1/jobs/${encodeURIComponent(id)}`, { signal })).json();
}

/** Stops a job, and removes the video and its results from the service; one that is gone already is no fault. */
export async function removeJob(id) {
  await request(`v1/jobs/${encodeURIComponent(id)}`, { method: "DELETE" }, 3).catch((error) => {
    if (error.status !== 404) throw error;
  });
}

/** A file that a job has made, as a Blob. */
export async function jobFile(id, name, signal) {
  return (await request(`v1/jobs/${encodeURIComponent(id)}/${name}`, { signal })).blob();
}

/** Tells of a job as it goes on, until the service has no more to tell or the connection is lost. */
export async function follow(id, onState, signal) {
  // fetch rather than EventSource, which cannot send a key.
  const response = await request(`v1/jobs/${encodeURIComponent(id)}/events`, { headers: { Accept: "text/event-stream" }, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      throw signal.aborted ? error : new Error(UNREACHABLE);
    });
    if (done) return;
    const events = (rest + value).split(/\r?\n\r?\n/);
    rest = events.pop();
    for (const event of events) {
      const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
      if (data.length) onState(JSON.parse(data.join("\n")));
    }
  }
}
