// Small helpers around the document.

export const byId = (id) => document.getElementById(id);

/** Makes an element; `attributes` may hold text, dataset, handlers by on… and variables by --name. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** Makes an element of a drawing. */
export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Tells those who cannot see it what has happened. */
export function announce(words) {
  byId("announce").textContent = words;
}

function toastOf(words, close, ...buttons) {
  const closing = make("button", { class: "button", type: "button", text: "Close", onclick: () => close() });
  return make("div", { class: "toast" }, make("span", { text: words }), ...buttons, closing);
}

/** Takes an element away; a focus inside goes on to what is shown. */
export function takeAway(element) {
  const focused = element.contains(document.activeElement);
  element.remove();
  if (focused) (byId("work").hidden ? byId("choose-files") : byId("stage")).focus({ preventScroll: true });
}

/** Shows a sentence at the lower edge until it is closed. */
export function complain(words) {
  const toasts = byId("toasts");
  if (toasts.lastElementChild?.firstElementChild.textContent === words) return;
  const toast = toastOf(words, () => takeAway(toast));
  toasts.append(toast);
  while (toasts.children.length > 3) takeAway(toasts.firstElementChild);
}

let note = null;

/** Says at the lower edge what was done, and offers to undo it; `onGone()` is called once that is too late. */
export function offerUndo(words, onUndo, onGone) {
  note?.close();
  const close = (done) => {
    note = null;
    takeAway(toast);
    done();
  };
  const undo = make("button", { class: "button", type: "button", text: "Undo", onclick: () => close(onUndo) });
  const toast = toastOf(words, () => close(onGone), undo);
  note = { close: () => close(onGone) };
  byId("notes").append(toast);
}

/** Closes what was said last at the lower edge; gives whether there was something. */
export function closeLast() {
  const last = byId("toasts").lastElementChild;
  if (last) takeAway(last);
  else if (note) note.close();
  else return false;
  return true;
}

const stores = { local: () => localStorage, session: () => sessionStorage };

/** What the browser remembers under a name, or null; it may be forbidden to remember anything. */
export function recall(name, where = "local") {
  try {
    return stores[where]().getItem(name);
  } catch {
    return null;
  }
}

/** Has the browser remember something, if it may. */
export function remember(name, value, where = "local") {
  try {
    stores[where]().setItem(name, value);
  } catch {
    // Then it holds until the page is closed.
  }
}

/** Makes a sentence of words: a capital first, a full stop last. */
export function sentence(words) {
  const text = words.trim();
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

export const plural = (count, one, many = `${one}s`) => `${count === 0 ? "No" : count} ${count === 1 ? one : many}`;
export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;

/** A share of the image in words: small ones need more digits. */
export function shareOf(area, pixels) {
  const share = area / pixels;
  return share < 0.0001 ? "less than 0.01 %" : percent(share, share < 0.01 ? 2 : 1);
}
