// The button that stops a folder of images from being worked through, and lets it go on.

import { announce, byId, plural } from "./dom.js";
import { subscribe } from "./store.js";
import { pauseQueue, queue, runQueue } from "./work.js";

/** Builds the button; it is there while more than the image on show is to be answered. */
export function startQueue() {
  const button = byId("queue");
  button.addEventListener("click", () => {
    const { waiting, paused } = queue();
    if (paused) runQueue();
    else pauseQueue();
    announce(paused ? `Going on with ${plural(waiting.length, "image")}` : `Stopped; ${plural(waiting.length, "image")} left`);
  });
  subscribe(() => {
    const { waiting, paused } = queue();
    // Who has the focus on it may want to press it again.
    button.hidden = !waiting.length && button !== document.activeElement;
    button.disabled = !waiting.length;
    button.textContent = waiting.length ? `${paused ? "Go on" : "Stop"} (${waiting.length} left)` : "All looked at";
  });
}
