"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const filters = document.getElementById("filters").elements;
const grid = document.getElementById("crops");
const CHUNK = 120;
const picks = new Map();  // of a crop's name: "keep" or "reject"
let shown = [];  // what passes the filters, in order
let drawn = 0;  // how many of those have a card
let chosen = 0;
let before = null;  // the choice of cluster that "c" goes back to

const nameOf = (crop) => `${crop.image}#${crop.object}`;
const known = new Set(data.crops.map(nameOf));
const value = (name) => filters[name].value === "" ? null : Number(filters[name].value);
const within = (number, low, high) => (low === null || number >= low) && (high === null || number <= high);

const ORDERS = {
  similarity: (a, b) => b.similarity - a.similarity,
  worth: (a, b) => b.rarity * b.confidence - a.rarity * a.confidence,
  rarity: (a, b) => b.rarity - a.rarity,
  confidence: (a, b) => b.confidence - a.confidence,
  area: (a, b) => b.area - a.area,
  cluster: (a, b) => (a.cluster || Infinity) - (b.cluster || Infinity) || b.rarity - a.rarity,
};

function passes(crop) {
  const state = filters.state.value;
  const cluster = value("cluster");
  return (cluster === null || crop.cluster === cluster)
    && within(crop.area, value("area_from"), value("area_to"))
    && within(crop.confidence, value("confidence_from"), value("confidence_to"))
    && (!state || (picks.get(nameOf(crop)) || "undecided") === state);
}

function card(crop) {
  const figure = document.createElement("figure");
  figure.setAttribute("role", "option");
  figure.innerHTML = `<span class="frame"><img loading="lazy" alt=""><svg viewBox="0 0 ${data.side} ${data.side}">`
    + `<path/></svg><span class="state"></span></span><span class="name"></span><small></small><small></small>`;
  figure.querySelector("img").src = crop.crop;
  figure.querySelector("path").setAttribute("d", crop.outline);
  figure.querySelector(".name").textContent = figure.title = nameOf(crop);
  const [, , width, height] = crop.box;
  const first = crop.similarity === null ? `rarity ${crop.rarity.toFixed(2)}` : `similarity ${crop.similarity.toFixed(2)}`;
  const facts = [`${width}×${height} px`, crop.cluster ? `cluster ${crop.cluster}` : "no cluster"];
  if (crop.copies) facts.push(`+${crop.copies} alike`);
  const [above, below] = figure.querySelectorAll("small");
  above.textContent = `${first} · confidence ${crop.confidence.toFixed(2)}`;
  below.textContent = facts.join(" · ");
  figure.addEventListener("click", () => choose(shown.indexOf(crop)));
  dress(figure, crop);
  return figure;
}

function dress(figure, crop) {
  const state = picks.get(nameOf(crop));
  figure.className = `crop ${state || ""} ${shown[chosen] === crop ? "chosen" : ""}`;
  figure.setAttribute("aria-selected", String(shown[chosen] === crop));
  figure.querySelector(".state").textContent = { keep: "kept", reject: "rejected" }[state] || "";
}

function draw(until) {
  const end = Math.min(shown.length, until);
  const cards = document.createDocumentFragment();
  for (; drawn < end; drawn++) {
    cards.append(card(shown[drawn]));
    cards.lastChild.id = `crop${drawn}`;
  }
  grid.append(cards);
  point();
}

// The list has the focus; this tells who cannot see it where in it.
function point() {
  if (shown.length) grid.setAttribute("aria-activedescendant", `crop${chosen}`);
  else grid.removeAttribute("aria-activedescendant");
}

function redress(index) {
  if (index >= 0 && index < drawn) dress(grid.children[index], shown[index]);
}

function choose(index) {
  if (!shown.length) return;
  const last = chosen;
  chosen = Math.max(0, Math.min(shown.length - 1, index));
  if (chosen >= drawn) draw(chosen + CHUNK);
  redress(last);
  redress(chosen);
  point();
  grid.children[chosen].scrollIntoView({ block: "nearest" });
}

function filter() {
  const current = shown[chosen];
  shown = data.crops.filter(passes).sort(ORDERS[filters.sort.value]);
  drawn = 0;
  grid.replaceChildren();
  // What was chosen stays so, or what took its place.
  const place = shown.indexOf(current);
  chosen = place >= 0 ? place : Math.min(chosen, Math.max(0, shown.length - 1));
  draw(Math.max(CHUNK, chosen + CHUNK));
  document.getElementById("empty").hidden = shown.length > 0;
  grid.hidden = !shown.length;
  count();
}

function count() {
  const states = [...picks].filter(([name]) => known.has(name)).map(([, state]) => state);
  const kept = states.filter((state) => state === "keep").length;
  document.getElementById("count").textContent =
    `${shown.length} of ${data.crops.length} · ${kept} kept · ${states.length - kept} rejected`;
}

function decide(state) {
  const crop = shown[chosen];
  if (!crop) return;
  if (state) picks.set(nameOf(crop), state); else picks.delete(nameOf(crop));
  remember();
  if (filters.state.value) return filter();
  redress(chosen);
  count();
  if (state) choose(chosen + 1);
}

function remember() {
  try { localStorage.setItem(data.memory, JSON.stringify([...picks])); } catch { /* a browser may forbid it */ }
}

function recall() {
  try { for (const [name, state] of JSON.parse(localStorage.getItem(data.memory) || "[]")) picks.set(name, state); }
  catch { /* likewise */ }
}

function picked(state) {
  return data.crops.filter((crop) => picks.get(nameOf(crop)) === state)
    .map((crop) => ({ image: crop.image, object: crop.object, box: crop.box }));
}

function save() {
  const content = { description: "picks of oodseg mine", results: data.results, keep: picked("keep"), reject: picked("reject") };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
  link.download = "picks.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 30_000);  // some browsers read it later
}

async function load(file) {
  let content;
  try { content = JSON.parse(await file.text()); } catch { content = null; }
  if (!Array.isArray(content?.keep) || !Array.isArray(content.reject)) return alert(`${file.name} holds no picks`);
  const found = ["keep", "reject"].flatMap((state) => content[state].filter(Boolean).map((each) => [nameOf(each), state]));
  if (found.length && !found.some(([name]) => known.has(name))) return alert(`${file.name} holds picks of other objects`);
  picks.clear();
  for (const [name, state] of found) picks.set(name, state);
  remember();
  filter();
}

function columns() {
  return getComputedStyle(grid).gridTemplateColumns.split(" ").length;
}

const KEYS = {
  ArrowRight: () => choose(chosen + 1),
  ArrowLeft: () => choose(chosen - 1),
  ArrowDown: () => choose(chosen + columns()),
  ArrowUp: () => choose(chosen - columns()),
  k: () => decide("keep"),
  r: () => decide("reject"),
  u: () => decide(null),
  o: () => { filters.outlines.click(); },
  c: () => {
    const field = filters.cluster;
    if (before !== null) { field.value = before; before = null; }
    else if (shown[chosen]) { before = field.value; field.value = String(shown[chosen].cluster); }
    filter();
  },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input:not([type=checkbox]), select")) return;
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
document.getElementById("filters").addEventListener("input", (event) => {
  if (event.target.name === "outlines") { grid.classList.toggle("plain", !event.target.checked); return; }
  if (event.target.name === "cluster") before = null;
  filter();
});
// A field that was just used would swallow the keys.
document.getElementById("filters").addEventListener("change", (event) => { if (event.target.tagName === "SELECT") event.target.blur(); });
document.getElementById("decide").addEventListener("click", (event) => KEYS[event.target.dataset.key]?.());
document.getElementById("save").addEventListener("click", save);
document.getElementById("open").addEventListener("click", () => document.getElementById("load").click());
document.getElementById("load").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = "";  // so that the same file can be chosen again
  if (file) load(file);
});
document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
new IntersectionObserver((entries) => { if (entries.some((each) => each.isIntersecting)) draw(drawn + CHUNK); }, { rootMargin: "800px" })
  .observe(document.getElementById("more"));

recall();
filter();
