// Draws an item with its layers.

import { colourOf, wantsPaleInk } from "./colour.js";
import { decode, holds, outlines, toPath } from "./rle.js";

const FONT = '"Inter", system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

/** Prepares the objects of an answer for drawing: decoded masks and paths, in place. */
export function prepare(result) {
  for (const found of result.objects) {
    found.mask = decode(found.segmentation, found.bbox);
    found.path = toPath(outlines(found.mask));
    found.colour = colourOf(found.id);
  }
}

/** The object at a pixel, the smallest of several; within `near` pixels of its box if no mask holds it. */
export function objectAt(objects, x, y, near) {
  const under = objects.filter((found) => holds(found.mask, x, y));
  const within = ({ bbox: [left, top, width, height] }) =>
    x >= left - near && y >= top - near && x <= left + width + near && y <= top + height + near;
  const found = (under.length ? under : objects.filter(within)).sort((a, b) => a.area - b.area)[0];
  return found ? found.id : null;
}

/**
 * Draws.
 * `scene` holds picture (or null), width, height, heat (canvas or null), objects, layers, lit and chosen ids.
 */
export function paint(context, view, scene) {
  const { ratio, scale, left, top } = view;
  const onImage = () => context.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * left, ratio * top);
  const { layers, width, height } = scene;
  onImage();
  context.fillStyle = "#14181c";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingEnabled = ratio * scale < 3;
  context.imageSmoothingQuality = "high";
  if (scene.picture && layers.image.shown) {
    context.globalAlpha = layers.image.opacity;
    context.drawImage(scene.picture, 0, 0, width, height);
  }
  if (scene.heat && layers.heat.shown) {
    context.globalAlpha = layers.heat.opacity;
    context.imageSmoothingEnabled = true;
    context.drawImage(scene.heat, 0, 0, width, height);
  }
  const focus = scene.lit ?? scene.chosen;
  // The surest lies on top.
  for (const found of [...scene.objects].reverse()) {
    const strength = focus === null || focus === found.id ? 1 : 0.35;
    if (layers.masks.shown) paintMask(context, found, 1 / scale, layers.masks.opacity, strength, focus === found.id);
    if (layers.boxes.shown) paintBox(context, found, 1 / scale, layers.boxes.opacity * strength);
  }
  context.globalAlpha = 1;
  if (!layers.boxes.shown && !layers.masks.shown) return;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  for (const label of placeLabels(context, view, scene, focus).reverse()) {
    paintLabel(context, label, focus === null || focus === label.found.id ? 1 : 0.35);
  }
}

function paintMask(context, found, pixel, opacity, strength, bold) {
  context.lineJoin = "round";
  context.globalAlpha = opacity * strength;
  context.fillStyle = found.colour;
  context.fill(found.path, "evenodd");
  context.globalAlpha = 0.45 * strength;
  context.strokeStyle = "#000";
  context.lineWidth = (bold ? 5 : 3.5) * pixel;
  context.stroke(found.path);
  context.globalAlpha = strength;
  context.strokeStyle = found.colour;
  context.lineWidth = (bold ? 3 : 1.75) * pixel;
  context.stroke(found.path);
}

function paintBox(context, found, pixel, strength) {
  const [x, y, width, height] = found.bbox;
  const room = 3 * pixel;
  context.globalAlpha = 0.35 * strength;
  context.lineWidth = 3 * pixel;
  context.strokeStyle = "#000";
  context.strokeRect(x - room, y - room, width + 2 * room, height + 2 * room);
  context.globalAlpha = strength;
  context.lineWidth = 1.25 * pixel;
  context.strokeStyle = found.colour;
  context.strokeRect(x - room, y - room, width + 2 * room, height + 2 * room);
}

const TALL = 20; // pixels of a label

/** Finds places for the labels of objects, the surest first, so that none covers another where there is room. */
export function placeLabels(context, { scale, left, top }, { objects, bounds }, focus) {
  const labels = [];
  const outside = (from, to, room) => to < 0 || from > room;
  context.font = `600 12px ${FONT}`;
  for (const found of objects) {
    const [x, y, width, height] = found.bbox;
    if (outside(left + x * scale, left + (x + width) * scale, bounds.width)) continue;
    if (outside(top + y * scale, top + (y + height) * scale, bounds.height)) continue;
    const value = objects.length <= 12 || focus === found.id ? found.confidence.toFixed(2) : "";
    const chip = Math.max(context.measureText(String(found.id)).width + 10, 20);
    const rest = value ? context.measureText(value).width + 10 : 0;
    const held = (across) => Math.max(4, Math.min(across, bounds.width - chip - rest - 4));
    const [above, below] = [top + y * scale - 27, Math.min(top + (y + height) * scale + 7, bounds.height - 22)];
    const [first, last] = [held(left + x * scale - 4), held(left + (x + width) * scale + 4 - chip - rest)];
    const free = ([across, down]) => down >= 2 && labels.every((other) =>
      across >= other.across + other.chip + other.rest || other.across >= across + chip + rest || Math.abs(down - other.down) >= TALL);
    const places = [[first, above], [first, below], [last, above], [last, below], [first, above - TALL - 2]];
    const [across, down] = places.find(free) ?? [first, above < 2 ? below : above];
    labels.push({ found, value, chip, rest, across, down });
  }
  return labels;
}

function paintLabel(context, { found, value, chip, rest, across, down }, strength) {
  const number = String(found.id);
  context.globalAlpha = strength;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.beginPath();
  context.roundRect(across, down, chip + rest, TALL, 5);
  context.fillStyle = "#14181ce0";
  context.fill();
  context.beginPath();
  context.roundRect(across, down, chip, TALL, rest ? [5, 0, 0, 5] : 5);
  context.fillStyle = found.colour;
  context.fill();
  context.fillStyle = wantsPaleInk(found.colour) ? "#fff" : "#14161a";
  context.fillText(number, across + (chip - context.measureText(number).width) / 2, down + 10.5);
  context.fillStyle = "#fff";
  if (value) context.fillText(value, across + chip + 5, down + 10.5);
  context.globalAlpha = 1;
}

/** Draws an object with some surroundings into a small canvas, outlined. */
export function paintThumbnail(canvas, picture, found, image) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const [width, height] = [84, 60];
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const [x, y, boxWidth, boxHeight] = found.bbox;
  const scale = Math.min(width / (boxWidth * 1.5 + 6), height / (boxHeight * 1.5 + 6), 6);
  // Within the image, where that is large enough.
  const held = (middle, room, length) => {
    const least = room - length * scale;
    return least > 0 ? least / 2 : Math.min(0, Math.max(least, room / 2 - middle * scale));
  };
  const view = { left: held(x + boxWidth / 2, width, image.width), top: held(y + boxHeight / 2, height, image.height) };
  const context = canvas.getContext("2d");
  context.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * view.left, ratio * view.top);
  context.imageSmoothingQuality = "high";
  if (picture) context.drawImage(picture, 0, 0, image.width, image.height);
  paintMask(context, found, 1 / scale, 0.12, 1, false);
}
