// Ways in: files, a folder, a drop, the clipboard, an example.

import * as api from "./api.js";
import { byId, complain, make } from "./dom.js";

const IMAGES = /\.(jpe?g|jfif|png|webp|bmp|gif|avif|tiff?|heic|heif)$/i;
const VIDEOS = /\.(mp4|m4v|mov|mkv|avi|webm|mpe?g|ts)$/i;
const natural = new Intl.Collator("en", { numeric: true });

/** "image", "video", or null for what is neither. */
export function kindOf(file) {
  if (file.type.startsWith("video/") || VIDEOS.test(file.name)) return "video";
  if (file.type.startsWith("image/") || IMAGES.test(file.name)) return "image";
  return null;
}

function take(files, onFiles) {
  const known = [...files].filter(kindOf);
  known.sort((a, b) => natural.compare(a.webkitRelativePath || a.name, b.webkitRelativePath || b.name));
  const left = files.length - known.length;
  if (!known.length && left) complain(left === 1 ? `“${files[0].name}” is neither an image nor a video.` : "There is neither an image nor a video among these files.");
  else if (known.length) onFiles(known);
}

/** Reads what a drop holds, folders included. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = [];
  const read = async (entry) => {
    if (entry.isFile) return found.push(await new Promise((done, fail) => entry.file(done, fail)));
    const reader = entry.createReader();
    for (;;) {
      const part = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!part.length) return;
      for (const each of part) await read(each);
    }
  };
  for (const entry of entries) await read(entry);
  return found;
}

/** Opens the window to choose files. */
export function chooseFiles() {
  byId("files").click();
}

/** Listens to all ways in; `onFiles(files)` is called with images and videos. */
export function startIntake(onFiles) {
  for (const id of ["files", "folder"]) {
    byId(id).addEventListener("change", (event) => {
      take([...event.target.files], onFiles);
      event.target.value = "";
    });
  }
  byId("choose-files").addEventListener("click", chooseFiles);
  byId("open-more").addEventListener("click", chooseFiles);
  byId("choose-folder").addEventListener("click", () => byId("folder").click());
  let depth = 0;
  const dragging = (event) => event.dataTransfer?.types.includes("Files");
  const mark = (change) => {
    depth = change === 0 ? 0 : depth + change;
    document.body.classList.toggle("dragging", depth > 0);
  };
  addEventListener("dragenter", (event) => dragging(event) && mark(1));
  addEventListener("dragleave", (event) => dragging(event) && mark(-1));
  addEventListener("dragover", (event) => dragging(event) && event.preventDefault());
  addEventListener("drop", async (event) => {
    if (!dragging(event)) return;
    event.preventDefault();
    mark(0);
    take(await dropped(event.dataTransfer), onFiles);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) take(files, onFiles);
  });
  showExamples(onFiles);
}

async function showExamples(onFiles) {
  const list = byId("examples");
  try {
    const found = await api.examples();
    list.replaceChildren(...found.slice(0, 5).map(({ name, title }) => {
      const button = make("button", { type: "button" },
        make("img", { src: api.exampleAddress(name), alt: "", width: 320, height: 180, loading: "lazy" }),
        make("span", {}, ...(title || name).split(", ").map((text) => make("small", { text: text.charAt(0).toUpperCase() + text.slice(1) }))));
      button.addEventListener("click", async () => {
        button.disabled = true;
        try {
          onFiles([await api.example(name)]);
        } catch (error) {
          complain(error.message);
        }
        button.disabled = false;
      });
      return make("li", { class: "example" }, button);
    }));
  } catch {
    byId("examples-block").hidden = true;
  }
  list.removeAttribute("aria-busy");
}
