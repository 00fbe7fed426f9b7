// Tells screen readers what changed, without moving the focus.

import { h } from "./dom.js";

/** @type {HTMLElement | null} */
let region = null;

/** Have a sentence read out when there is a pause. @param {string} text */
export function announce(text) {
  if (!region) {
    region = h("div", { class: "sr", role: "status" });
    document.body.append(region);
  }
  region.append(h("p", null, text));
  while (region.childElementCount > 4) region.firstElementChild?.remove();
}
