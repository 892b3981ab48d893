// Starts the page.

import * as api from "./api.js";
import { announce, byId, complain, remember } from "./dom.js";
import { startFailures } from "./failures.js";
import { kindOf, pathOf, startIntake } from "./intake.js";
import { onKeyGiven, onKeyNeeded } from "./key.js";
import { startKeys } from "./keys.js";
import { startLayers } from "./layers.js";
import { startObjects } from "./objects.js";
import { paint } from "./paint.js";
import { readPoints, startPoints } from "./points.js";
import { startQueue } from "./queue.js";
import { remove, showItems } from "./removal.js";
import { startSave } from "./save.js";
import { sceneOf, startStage } from "./stage.js";
import { store, update } from "./store.js";
import { startStrip } from "./strip.js";
import { runVideos } from "./video.js";
import { itemOf, paintWaiting, runQueue } from "./work.js";

let items = 0;

function takeFiles(files) {
  const added = files.map((file) => itemOf(file, kindOf(file), ++items, pathOf(file)));
  const first = store.current === null;
  showItems([...store.items, ...added], added[0]);
  if (first) byId("stage").focus({ preventScroll: true });
  runQueue();
  runVideos();
  if (store.items.length > 1) paintWaiting(store.items.filter((item) => !item.painted));
}

function startTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const select = (tab, focus) => {
    if (tab.hidden) return;
    for (const each of tabs) {
      const on = each === tab;
      each.setAttribute("aria-selected", String(on));
      each.tabIndex = on ? 0 : -1;
      byId(each.getAttribute("aria-controls")).hidden = !on;
    }
    if (focus || document.activeElement?.getAttribute("role") === "tab") tab.focus();
    const name = tab.id.replace("tab-", "");
    if (name === store.tab) return;
    // The map is what the view of errors is about.
    if (name === "failures") store.heatBefore = store.layers.heat.shown;
    store.layers.heat.shown = name === "failures" ? true : store.heatBefore;
    update({ tab: name });
  };
  for (const tab of tabs) {
    tab.addEventListener("click", () => select(tab, false));
    tab.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft" || event.key === "ArrowRight") select(tabs[1 - tabs.indexOf(tab)], true);
    });
  }
  return () => select(tabs.find((tab) => tab.getAttribute("aria-selected") !== "true"), false);
}

function startTheme() {
  const button = byId("theme");
  const root = document.documentElement;
  const words = { auto: "as the system", light: "light", dark: "dark" };
  const order = Object.keys(words);
  const show = () => button.setAttribute("aria-label", `Colours: ${words[root.dataset.theme ?? "auto"]}`);
  button.addEventListener("click", () => {
    const next = order[(order.indexOf(root.dataset.theme ?? "auto") + 1) % order.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    remember("oodseg-theme", next);
    show();
    announce(`Colours: ${words[next]}`);
  });
  show();
}

function startKeyDialog() {
  onKeyNeeded((refused) => new Promise((done) => {
    const dialog = byId("key-dialog");
    byId("key-refused").hidden = !refused;
    dialog.addEventListener("close", () => done(dialog.returnValue === "ok" ? byId("key").value : null), { once: true });
    dialog.returnValue = "";
    byId("key").value = "";
    dialog.showModal();
  }));
}

let described = null;

// Who did not give the key at first may give it later.
async function describeModel() {
  described ??= tellOfModel();
  if (!(await described)) described = null;
}

/** Says what answers, and gives whether it could be asked. */
async function tellOfModel() {
  byId("model").textContent = "getting ready…";
  try {
    const model = await api.model();
    byId("model").textContent = `${model.name} ${model.version}`;
    if (!model.failures) byId("tab-failures").hidden = true;
    readPoints(model);
    return true;
  } catch (error) {
    byId("model").textContent = "";
    complain(error.message);
    return false;
  } finally {
    update({ waking: false });
  }
}

startTheme();
startKeyDialog();
startLayers();
startPoints();
startStrip(remove);
startQueue();
startFailures();
const viewer = startStage();
startObjects((found) => {
  update({ chosen: found?.id ?? null });
  if (found) viewer.show(found.bbox);
  else viewer.fit();
});
startSave((item, context, view, bounds) => paint(context, view, { ...sceneOf(item, bounds), lit: null, chosen: null }));
startKeys(viewer, startTabs(), remove);
byId("remove").addEventListener("click", () => remove([store.current]));
startIntake(takeFiles);
onKeyGiven(describeModel);
describeModel();
