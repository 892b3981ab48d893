"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const filters = document.getElementById("filters").elements;
const grid = document.getElementById("cards");
const CHUNK = 60;
const CHIPS = 8;
let shown = [];  // what passes the filters, in order
let drawn = 0;  // how many of those have a card

data.cards.forEach((card, place) => {
  card.place = place;  // they come with the surest object first
  card.confidence = Math.max(0, ...card.objects.map((found) => found.confidence));
  card.area = Math.max(0, ...card.objects.map((found) => found.area / (card.width * card.height)));
});

const ORDERS = {
  worst: (a, b) => a.place - b.place,
  count: (a, b) => b.objects.length - a.objects.length || a.place - b.place,
  area: (a, b) => b.area - a.area || a.place - b.place,
  name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
};

function least() {
  return Number(filters.confidence.value);
}

function passes(card) {
  const hit = card.objects.some((found) => found.confidence >= least());
  if (filters.kind.value === "hits" && !hit) return false;
  if (filters.kind.value === "none" && hit) return false;
  if (!filters.kind.value && least() > 0 && !hit) return false;
  return card.name.toLowerCase().includes(filters.text.value.trim().toLowerCase());
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function link(address, className, text) {
  const made = element("a", className, text);
  made.href = address;
  return made;
}

function chip(found, number) {
  const made = found.crop ? link(found.crop, "chip") : element("span", "chip");
  const dot = element("i");
  dot.style.background = data.colours[number % data.colours.length];
  made.append(dot, found.confidence.toFixed(2), element("small", "", `${found.box[0]}×${found.box[1]} px`));
  made.title = `object ${number + 1}: confidence ${found.confidence.toFixed(2)}, ${found.area} pixels`;
  if (found.confidence < least()) made.classList.add("faint");
  const item = element("li");
  item.append(made);
  return item;
}

function cardOf(card) {
  const made = element("article", "image");
  const frame = card.overlay ? link(card.overlay, "frame") : element("span", "frame");
  if (card.thumbnail) {
    const image = element("img");
    Object.assign(image, { loading: "lazy", alt: card.name, src: card.thumbnail });
    frame.append(image);
  } else {
    frame.classList.add("none");
    if (card.overlay) frame.setAttribute("aria-label", card.name);
  }
  const head = element("h2");
  const name = element("span");
  name.append(element("bdi", "", card.name));
  name.title = card.name;
  head.append(name, element("small", "", `${card.width}×${card.height}`));
  made.append(frame, head);
  if (card.objects.length) {
    const chips = element("ul", "chips");
    chips.append(...card.objects.slice(0, CHIPS).map(chip));
    if (card.objects.length > CHIPS) chips.append(element("li", "chip", `${card.objects.length - CHIPS} more`));
    made.append(chips);
  } else {
    const peak = card.peak === null ? "" : ` · highest score ${card.peak.toFixed(1)}`;
    made.append(element("p", "none-found", `nothing found${peak}`));
  }
  const files = element("p", "files");
  for (const [word, address] of card.links) files.append(link(address, "", word));
  made.append(files);
  return made;
}

function draw(until) {
  const end = Math.min(shown.length, until);
  const cards = document.createDocumentFragment();
  for (; drawn < end; drawn++) cards.append(cardOf(shown[drawn]));
  grid.append(cards);
}

function filter() {
  document.getElementById("least").textContent = least().toFixed(2);
  shown = data.cards.filter(passes).sort(ORDERS[filters.sort.value]);
  drawn = 0;
  grid.replaceChildren();
  draw(CHUNK);
  document.getElementById("empty").hidden = shown.length > 0;
  document.getElementById("count").textContent = `${shown.length} of ${data.cards.length} images`;
}

document.getElementById("filters").addEventListener("input", filter);
document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
new IntersectionObserver((entries) => { if (entries.some((each) => each.isIntersecting)) draw(drawn + CHUNK); }, { rootMargin: "800px" })
  .observe(document.getElementById("more"));
filter();
