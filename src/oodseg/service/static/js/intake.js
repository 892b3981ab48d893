// Ways in: files, a folder, a drop, the clipboard, an example.

import * as api from "./api.js";
import { byId, complain, make } from "./dom.js";

const IMAGES = /\.(jpe?g|jfif|png|webp|bmp|gif|avif|tiff?|heic|heif)$/i;
const VIDEOS = /\.(mp4|m4v|mov|mkv|avi|webm|mpe?g|ts)$/i;
const natural = new Intl.Collator("en", { numeric: true });

const paths = new WeakMap(); // of files that were dropped with their folder
let pasted = 0;

/** The name of a file with the folders that it was chosen with. */
export const pathOf = (file) => paths.get(file) ?? (file.webkitRelativePath || file.name || "pasted image");

/** "image", "video", or null for what is neither. */
export function kindOf(file) {
  // Folders hold what is a system's own, such as the ._a.jpg that macOS lays beside a.jpg.
  if (file.name.startsWith(".") && pathOf(file).includes("/")) return null;
  if (file.type.startsWith("video/") || VIDEOS.test(file.name)) return "video";
  if (file.type.startsWith("image/") || IMAGES.test(file.name)) return "image";
  return null;
}

function take(files, onFiles) {
  const known = [...files].filter(kindOf);
  known.sort((a, b) => natural.compare(pathOf(a), pathOf(b)));
  const left = files.length - known.length;
  if (!files.length) complain("There is no file in it.");
  else if (!known.length) complain(left === 1 ? `“${files[0].name}” is neither an image nor a video.` : "There is neither an image nor a video among these files.");
  else onFiles(known);
}

/** Reads what a drop holds, folders included. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = [];
  const read = async (entry) => {
    if (entry.isFile) {
      const file = await new Promise((done, fail) => entry.file(done, fail));
      paths.set(file, entry.fullPath.replace(/^\//, ""));
      return found.push(file);
    }
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
    try {
      take(await dropped(event.dataTransfer), onFiles);
    } catch (error) {
      complain(`What was dropped cannot be read: ${error.message}`);
    }
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || document.querySelector("dialog[open]")) return;
    // Browsers call every picture that is no file the same.
    take(files.map((file) => (file.name === "image.png" ? new File([file], `pasted-${++pasted}.png`, { type: file.type }) : file)), onFiles);
  });
  showExamples(onFiles);
}

async function showExamples(onFiles) {
  const list = byId("examples");
  try {
    const found = await api.examples();
    list.replaceChildren(...found.slice(0, 5).map((each) => make("li", { class: "example" }, exampleButton(each, onFiles))));
  } catch {
    byId("examples-block").hidden = true;
  }
  list.removeAttribute("aria-busy");
}

function exampleButton({ name, title }, onFiles) {
  const picture = make("img", { alt: "", width: 320, height: 180 });
  const words = (title || name).split(", ").map((text) => make("small", { text: text.charAt(0).toUpperCase() + text.slice(1) }));
  const button = make("button", { type: "button" }, picture, make("span", {}, ...words));
  // Fetched rather than named, since an address cannot carry a key.
  const file = api.example(name);
  file.then((found) => {
    picture.onload = () => URL.revokeObjectURL(picture.src);
    picture.src = URL.createObjectURL(found);
  }, () => {});
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-busy")) return;
    button.setAttribute("aria-busy", "true"); // not disabled: that would lose the focus
    try {
      onFiles([await file.catch(() => api.example(name))]);
    } catch (error) {
      complain(error.message);
    }
    button.removeAttribute("aria-busy");
  });
  return button;
}
