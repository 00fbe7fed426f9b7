// Chooses two jobs to be compared, on any page.

import { fill, h } from "./dom.js";

/** @type {string[]} */
let picked = [];
/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {HTMLElement | null} */
let tray = null;

/** @param {string} id of a job */
export function isPicked(id) {
  return picked.includes(id);
}

/** Choose a job, or no longer; a third takes the place of the first. @param {string} id */
export function pick(id) {
  choose(isPicked(id) ? picked.filter((each) => each !== id) : [...picked.slice(-1), id]);
}

/** Be told when others are chosen; what it returns ends it. @param {() => void} callback */
export function onPicked(callback) {
  listeners.add(callback);
  return () => listeners.delete(callback);
}

/** @param {string[]} ids */
function choose(ids) {
  picked = ids;
  for (const callback of [...listeners]) callback();
  if (!tray) {
    tray = h("div", { class: "tray card", role: "region", "aria-label": "Compare" });
    document.body.append(tray);
  }
  const [one, other] = ids;
  tray.hidden = !one;
  const clear = h("button", { class: "button small quiet", type: "button", onclick: () => choose([]) }, "Clear");
  const words = h("p", { class: "grow", role: "status" }, other ? "Two are chosen." : "One is chosen: choose another to compare.");
  const go = one && other ? h("a", { class: "button small primary", href: `#/compare/${one}/${other}`, onclick: () => choose([]) }, "Compare") : null;
  fill(tray, words, go, clear);
}
