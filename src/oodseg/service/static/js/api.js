// Talks to the service. Every failure becomes an Error whose message is a sentence for people.

const KEY = "oodseg-key";
let askForKey = async () => null;

/** Says who asks the user for a key: an async function that gives it, or null. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

function keyHeaders() {
  const key = sessionStorage.getItem(KEY);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

async function problemOf(response) {
  const busy = response.status === 503 || response.status === 429;
  let words = "";
  try {
    const document = await response.json();
    words = document.detail || document.title || "";
  } catch {
    words = "";
  }
  if (!words) words = busy ? "the service is busy: try again in a moment" : `the service answered ${response.status}`;
  const error = new Error(sentence(words));
  error.status = response.status;
  error.retryAfter = Number(response.headers.get("Retry-After")) || 0;
  return error;
}

/** Makes a sentence of what the service says: a capital first, a full stop last. */
export function sentence(words) {
  const text = words.trim();
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

async function request(path, options = {}, tries = 20) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...options.headers, ...keyHeaders() } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The service cannot be reached: is it still running?");
  }
  if (response.ok) return response;
  if (response.status === 401) {
    const key = await askForKey();
    if (!key) throw new Error("This service asks for a key.");
    sessionStorage.setItem(KEY, key);
    return request(path, options, tries);
  }
  const problem = await problemOf(response);
  // A busy service says when to come back.
  if ((response.status === 429 || response.status === 503) && tries > 0) {
    await new Promise((done) => setTimeout(done, 1000 * (problem.retryAfter || 2)));
    return request(path, options, tries - 1);
  }
  throw problem;
}

function upload(file, accept, signal) {
  const body = new FormData();
  body.append("image", file, file.name || "image");
  return { method: "POST", body, headers: { Accept: accept }, signal };
}

/** Describes the models: name, operating points, classes of the failure detector. */
export async function model() {
  return (await request("v1/model", { headers: { Accept: "application/json" } })).json();
}

/** Lists the drawn examples. */
export async function examples() {
  const found = await (await request("v1/examples", {}, 0)).json();
  return found.examples ?? found;
}

/** Fetches an example as a File. */
export async function example(name) {
  const blob = await (await request(exampleAddress(name))).blob();
  const suffix = blob.type === "image/png" ? "png" : "jpg";
  return new File([blob], /\.\w+$/.test(name) ? name : `${name}.${suffix}`, { type: blob.type });
}

export function exampleAddress(name) {
  return `v1/examples/${encodeURIComponent(name)}`;
}

/** Finds the objects of an image, also those below the operating point. */
export async function predict(file, signal) {
  return (await request("v1/predict?all=1", upload(file, "application/json", signal))).json();
}

/** The anomaly score of an image as a grey picture. */
export async function score(file, signal) {
  return (await request("v1/predict?view=score", upload(file, "image/png", signal))).blob();
}

/** Estimates how good a segmentation of the image is. */
export async function failures(file, signal) {
  return (await request("v1/failures", upload(file, "application/json", signal))).json();
}

/** The chance that a pixel is segmented wrongly, as a grey picture. */
export async function errorMap(file, signal) {
  return (await request("v1/failures?view=error", upload(file, "image/png", signal))).blob();
}

/** Hands in a video; gives the job. */
export async function submitVideo(file, point, onProgress) {
  const { status, document } = await send(`v1/jobs?operating_point=${encodeURIComponent(point)}`, file, onProgress);
  if (status >= 200 && status < 300) return document;
  throw new Error(sentence(document?.detail || `the service answered ${status}`));
}

// XMLHttpRequest, since fetch does not tell how much of a body is sent.
function send(path, file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "json";
    for (const [name, value] of Object.entries(keyHeaders())) request.setRequestHeader(name, value);
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => onProgress(event.total ? event.loaded / event.total : 0);
    request.onload = () => resolve({ status: request.status, document: request.response });
    request.onerror = () => reject(new Error("The video could not be sent: is the service still running?"));
    const body = new FormData();
    body.append("video", file, file.name || "video");
    request.send(body);
  });
}

/** The state of a job. */
export async function job(id) {
  return (await request(`v1/jobs/${encodeURIComponent(id)}`)).json();
}

/** A file that a job has made, as a Blob. */
export async function jobFile(id, name) {
  return (await request(`v1/jobs/${encodeURIComponent(id)}/${name}`)).blob();
}

/** Follows a job by its events; gives a function that stops it. */
export function follow(id, onState) {
  const stop = new AbortController();
  const read = async () => {
    const path = `v1/jobs/${encodeURIComponent(id)}/events`;
    // fetch rather than EventSource, which cannot send a key.
    const response = await request(path, { headers: { Accept: "text/event-stream" }, signal: stop.signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (rest + value).split(/\r?\n\r?\n/);
      rest = events.pop();
      for (const event of events) {
        const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
        if (data.length) onState(JSON.parse(data.join("\n")));
      }
    }
  };
  return { ended: read(), stop: () => stop.abort() };
}
