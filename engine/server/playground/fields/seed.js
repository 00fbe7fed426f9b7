// A seed: drawn for each run, or kept. Never a JavaScript number by itself: seeds go up to 2^64-1.

import { fill, h } from "../dom.js";
import { whole } from "../exact.js";
import { icon } from "../icons.js";

const DRAWN = -1;
/** Drawn seeds stay below, so that every JSON reader has them exactly. */
const DRAWN_BELOW = 2n ** 53n;

/** @type {(given: import("./field.js").Given) => import("./field.js").Control} */
export function seed({ schema, changed, id, labelId }) {
  const input = h("input", {
    id,
    class: "input mono",
    type: "text",
    inputmode: "numeric",
    autocomplete: "off",
    spellcheck: false,
    placeholder: "a new one for each run",
    oninput: () => told(),
  });
  const dice = h("button", { type: "button", class: "icon-button", title: "Draw a new one", "aria-label": "Draw a new one", "aria-describedby": labelId, onclick: () => keep(draw()) }, icon("dice"));
  const lock = h("button", { type: "button", class: "icon-button", "aria-label": "Keep it", "aria-describedby": labelId, onclick: () => keep(input.value.trim() === "" ? last || draw() : "") });
  let last = "";

  function draw() {
    const random = crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n;
    const bound = BigInt(schema["maximum"] ?? DRAWN_BELOW) + 1n;
    return String(random % (bound < DRAWN_BELOW ? bound : DRAWN_BELOW));
  }

  /** @param {string} digits */
  function keep(digits) {
    input.value = digits;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    told();
  }

  function told() {
    look();
    changed();
  }

  function look() {
    const kept = input.value.trim() !== "";
    if (kept) last = input.value.trim();
    lock.setAttribute("aria-pressed", String(kept));
    lock.title = kept ? "Kept for every run; press to draw a new one for each" : "A new one for each run; press to keep one";
    fill(lock, icon(kept ? "locked" : "unlocked"));
  }

  look();
  return {
    element: h("div", { class: "seed" }, input, dice, lock),
    input,
    wide: true,
    value() {
      const digits = input.value.trim();
      if (digits === "") return DRAWN;
      return /^-?\d{1,40}$/.test(digits) ? whole(digits) : digits;
    },
    put(value) {
      input.value = value === undefined || value === null || value === DRAWN ? "" : String(value);
      look();
    },
  };
}
