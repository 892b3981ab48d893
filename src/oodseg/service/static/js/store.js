// What the page knows. Views subscribe; whoever changes something says so.

export const LAYERS = [
  { name: "image", label: "Image", shown: true, opacity: 1 },
  { name: "heat", label: "Scores", shown: false, opacity: 0.7 },
  { name: "boxes", label: "Boxes", shown: true, opacity: 1 },
  { name: "masks", label: "Masks", shown: true, opacity: 0.4 },
];

export const store = {
  items: [], // never changed, but replaced
  current: null,
  waking: true, // the service has not yet said what it is
  points: ["quiet", "balanced", "thorough"],
  point: "quiet",
  tab: "objects",
  lit: null,
  chosen: null,
  layers: Object.fromEntries(LAYERS.map(({ name, shown, opacity }) => [name, { shown, opacity }])),
};

const listeners = new Set();
let due = false;

/** Calls a function after every change. */
export function subscribe(listener) {
  listeners.add(listener);
}

/** Changes what is known. */
export function update(changes = {}) {
  Object.assign(store, changes);
  // What is not shown any more is neither under the pointer nor chosen.
  for (const name of ["lit", "chosen"]) {
    if (store[name] !== null && !keptObjects(store.current).some(({ id }) => id === store[name])) store[name] = null;
  }
  if (due) return;
  due = true;
  queueMicrotask(() => {
    due = false;
    for (const listener of listeners) listener(store);
  });
}

/** The objects of an item that the operating point keeps, the surest first. */
export function keptObjects(item, point = store.point) {
  return item?.result ? item.result.objects.filter((found) => found.kept_by.includes(point)) : [];
}
