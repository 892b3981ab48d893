// The key of a service that asks for one. It is kept until the tab is closed.

import { recall, remember } from "./dom.js";

const NAME = "oodseg-key";
let key = recall(NAME, "session");
let asking = null;
let ask = async () => null;
let tell = () => {};

/** Says who asks the user for a key: an async function that gives it, or null; it is told whether one was refused. */
export function onKeyNeeded(asks) {
  ask = asks;
}

/** Says who is told when a key was given. */
export function onKeyGiven(listener) {
  tell = listener;
}

/** The key that is known, or null. */
export const current = () => key;

/** The headers that carry a key. */
export const headers = (used) => (used ? { Authorization: `Bearer ${used}` } : {});

async function question(refused) {
  const given = (await ask(refused))?.trim();
  // Headers carry nothing but these characters.
  return !given || /^[\x21-\x7e]+$/.test(given) ? given : question(true);
}

/** Gets another key than the one that was refused; whoever needs one at the same time shares the question. */
export async function renew(refused) {
  if (key !== refused) return;
  asking ??= question(Boolean(refused)).finally(() => {
    asking = null;
  });
  const given = await asking;
  if (!given) throw new Error("This service asks for a key.");
  key = given;
  remember(NAME, key, "session");
  tell();
}
