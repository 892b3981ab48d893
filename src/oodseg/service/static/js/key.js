// The key of a service that asks for one. It is kept until the tab is closed.

import { recall, remember } from "./dom.js";

const NAME = "oodseg-key";
let key = recall(NAME, "session");
let asking = null;
let ask = async () => null;

/** Says who asks the user for a key: an async function that gives it, or null; it is told whether one was refused. */
export function onKeyNeeded(asks) {
  ask = asks;
}

/** The key that is known, or null. */
export const current = () => key;

/** The headers that carry a key. */
export const headers = (used) => (used ? { Authorization: `Bearer ${used}` } : {});

/** Gets another key than the one that was refused; whoever needs one at the same time shares the question. */
export async function renew(refused) {
  if (key !== refused) return;
  asking ??= ask(Boolean(refused)).finally(() => {
    asking = null;
  });
  const given = (await asking)?.trim();
  // Headers carry nothing but these characters.
  if (!given || !/^[\x21-\x7e]+$/.test(given)) throw new Error("This service asks for a key.");
  key = given;
  remember(NAME, key, "session");
}
