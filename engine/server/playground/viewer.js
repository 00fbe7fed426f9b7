// Shows pictures large, one after the other, or pixel by pixel.

import { fill, h } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {{address: string, download: string, filename: string, words: string}} Picture */

/**
 * @param {Picture[]} pictures
 * @param {number} first which of them
 */
export function openViewer(pictures, first) {
  let at = first;
  let actual = false;
  const picture = h("img", { alt: "" });
  const stage = h("div", { class: "stage", onclick: () => zoom(!actual) }, picture);
  const words = h("p", { class: "grow", role: "status" });
  const zoomer = h("button", { class: "button small", type: "button", "aria-pressed": "false", onclick: () => zoom(!actual) }, "1:1");
  const save = h("a", { class: "button small" }, icon("download"), "Download");
  const turners = [turner("Picture before", "‹", -1), turner("Next picture", "›", 1)];
  const close = h("button", { class: "icon-button", type: "button", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"));
  const dialog = h(
    "dialog",
    { class: "viewer", "aria-label": "Picture" },
    h("div", { class: "line" }, words, turners, zoomer, save, close),
    stage,
  );

  /** @param {string} label @param {string} sign @param {number} by */
  function turner(label, sign, by) {
    const hidden = pictures.length < 2;
    return h("button", { class: "icon-button", type: "button", "aria-label": label, hidden, onclick: () => turn(by) }, sign);
  }

  /** @param {number} by */
  function turn(by) {
    at = (at + by + pictures.length) % pictures.length;
    show();
  }

  /** @param {boolean} now */
  function zoom(now) {
    actual = now;
    dialog.classList.toggle("actual", now);
    zoomer.setAttribute("aria-pressed", String(now));
  }

  function show() {
    const shown = pictures[at];
    if (!shown) return;
    zoom(false);
    picture.src = shown.address;
    picture.alt = shown.words;
    save.href = shown.download;
    save.download = shown.filename;
    fill(words, pictures.length > 1 ? `${at + 1} of ${pictures.length}: ${shown.words}` : shown.words);
  }

  dialog.addEventListener("keydown", (event) => {
    // Seen pixel by pixel, the arrows move the picture.
    if (!actual && event.key === "ArrowLeft") turn(-1);
    else if (!actual && event.key === "ArrowRight") turn(1);
    else if (event.key === "1") zoom(!actual);
  });
  const end = () => dialog.close();
  dialog.addEventListener("close", () => {
    window.removeEventListener("hashchange", end);
    dialog.remove();
  });
  window.addEventListener("hashchange", end);
  document.body.append(dialog);
  show();
  dialog.showModal();
}
