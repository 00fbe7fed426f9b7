// A button that copies a text.

import { fill, h } from "./dom.js";
import { icon } from "./icons.js";

/**
 * @param {string} label
 * @param {() => string} text
 */
export function copyButton(label, text) {
  const said = h("span", { role: "status" });
  const button = h("button", { type: "button", class: "button small quiet copy", title: label, onclick: () => void copied() });

  function draw() {
    fill(button, icon("copy"), "Copy", h("span", { class: "sr" }, label.replace(/^Copy/, "")));
    said.textContent = "";
  }

  async function copied() {
    const done = await put(text());
    fill(button, icon(done ? "check" : "warning"), said);
    said.textContent = done ? "Copied" : "Select it, and copy it by hand";
    setTimeout(draw, 2000);
  }

  draw();
  return button;
}

/**
 * @param {string} text
 * @returns {Promise<boolean>}
 */
async function put(text) {
  try {
    // Only where the page came over HTTPS or from this machine.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
