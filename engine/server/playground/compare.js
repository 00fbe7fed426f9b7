// Two jobs side by side, or one over the other, and the values that differ.

import { fill, h } from "./dom.js";
import { same } from "./exact.js";
import { shown } from "./gallery.js";
import { addressOf, isOwn, jobOf, outputsOf, valuesOf } from "./jobs.js";
import { valueWords } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */
/** @typedef {import("./jobs.js").Output} Output */

/**
 * @param {string} first a job's id
 * @param {string} second
 * @returns {{element: HTMLElement}}
 */
export function createCompare(first, second) {
  const place = h("div", { "aria-busy": "true" });
  const crumbs = h("p", { class: "crumbs" }, h("a", { href: "#/history" }, "History"));
  const element = h("div", { class: "page" }, h("div", { class: "page-head" }, crumbs, h("h1", null, "Compare")), place);
  Promise.all([jobOf(first), jobOf(second)]).then(
    ([one, other]) => fill(place, compared(one, other)),
    (error) => fill(place, h("p", { class: "notice bad", role: "alert" }, error.message)),
  ).finally(() => place.removeAttribute("aria-busy"));
  return { element };
}

/** @param {Job} one @param {Job} other */
function compared(one, other) {
  const [left, right] = [outputsOf(one), outputsOf(other)];
  const count = Math.max(left.length, right.length);
  const stage = h("div", { class: "pair" });
  let [at, over] = [0, false];
  const sides = button("Side by side", () => (over = false));
  const slider = button("Slider", () => (over = true));
  const choice = h("select", { class: "input", "aria-label": "Which result", hidden: count < 2, onchange: () => ((at = Number(choice.value)), show()) });
  choice.append(...Array.from({ length: count }, (_, index) => h("option", { value: String(index) }, `Result ${index + 1} of ${count}`)));

  /** @param {string} words @param {() => void} act */
  function button(words, act) {
    return h("button", { class: "button small", type: "button", onclick: () => (act(), show()) }, words);
  }

  function show() {
    const [a, b] = [left[at], right[at]];
    const both = picture(a) && picture(b);
    slider.hidden = !both;
    const sliding = over && both;
    sides.setAttribute("aria-pressed", String(!sliding));
    slider.setAttribute("aria-pressed", String(Boolean(sliding)));
    stage.classList.toggle("over", Boolean(sliding));
    if (sliding && a && b) fill(stage, overlay(a, b));
    else fill(stage, side("First", one, a), side("Second", other, b));
  }

  show();
  return h("div", { class: "compare" }, h("div", { class: "line" }, sides, slider, choice), stage, differences(one, other));
}

/** @param {Output | undefined} output */
function picture(output) {
  const address = output?.content_type.startsWith("image/") ? addressOf(output) : null;
  return isOwn(address) ? address : null;
}

/** @param {string} words @param {Job} job @param {Output | undefined} output */
function side(words, job, output) {
  const content = output ? shown(job, output) : h("p", { class: "empty" }, "There is nothing to show.");
  const link = h("a", { href: `#/jobs/${job.id}` }, words);
  return h("figure", null, content, h("figcaption", { class: "muted small" }, link, ` · ${job.workflow}`));
}

/**
 * Two pictures, one over the other, and an edge between them that is moved.
 *
 * @param {Output} one
 * @param {Output} other
 */
function overlay(one, other) {
  const moved = () => box.style.setProperty("--at", `${range.value}%`);
  const range = h("input", { type: "range", min: "0", max: "100", step: "0.5", value: "50", "aria-label": "How much of the first is seen, in per cent", oninput: moved });
  const box = h(
    "div",
    { class: "overlay" },
    h("img", { src: picture(other), alt: "Second result" }),
    h("img", { src: picture(one), alt: "First result", class: "upper" }),
    range,
    h("span", { class: "edge" }),
  );
  moved();
  return box;
}

/** @param {Job} one @param {Job} other */
function differences(one, other) {
  const [a, b] = [valuesOf(one), valuesOf(other)];
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  const differing = names.filter((name) => !same(a[name], b[name]));
  if (one.workflow !== other.workflow) {
    [a["workflow"], b["workflow"]] = [one.workflow, other.workflow];
    differing.unshift("workflow");
  }
  if (!differing.length) return h("p", { class: "muted" }, "All values are the same.");
  const row = (/** @type {string} */ name) =>
    h("tr", null, h("th", { scope: "row" }, name), [a, b].map((side) => h("td", { class: "mono" }, name in side ? valueWords(side[name]) : "—")));
  const head = h("tr", null, ["Value", "First", "Second"].map((each) => h("th", { scope: "col" }, each)));
  const alike = names.length - differing.filter((name) => names.includes(name)).length;
  return h(
    "section",
    { class: "card differences" },
    h("h2", null, "What differs"),
    h("div", { class: "scroll", tabIndex: 0, role: "group", "aria-label": "Values that differ" }, h("table", null, h("thead", null, head), h("tbody", null, differing.map(row)))),
    alike ? h("p", { class: "muted small" }, `${alike} other values are the same.`) : null,
  );
}
