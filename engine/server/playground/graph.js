// The graph of a workflow: its picture, what the form changes in it, and the graph that would be queued.

import { fileUrl } from "./api.js";
import { copyButton } from "./copying.js";
import { fill, h } from "./dom.js";
import { stringifyExact } from "./exact.js";
import { icon } from "./icons.js";
import { createTabs } from "./tabs.js";
import { valueWords } from "./words.js";

/**
 * @typedef {{parameters?: string[], sent?: string[], drawn?: string[], expression?: string}} By
 * @typedef {{input: string, before?: any, after?: any, by?: By}} InputChange
 * @typedef {{node: string, class_type: string, change: string, title?: string, inputs?: InputChange[]}} Change
 */

/**
 * @param {any} workflow as GET /workflows/NAME gives it
 * @returns {{element: HTMLElement, update: (rendered: any) => void}} `update` takes what /render gave; null where the
 *     payload does not render
 */
export function createGraph(workflow) {
  const changes = h("div", { class: "changes" });
  const code = h("code");
  const json = h("div", { class: "code" }, copyButton("Copy the graph", () => code.textContent ?? ""), h("pre", { tabIndex: 0, "aria-label": "Rendered graph" }, code));
  const stale = h("p", { class: "notice", role: "status", hidden: true }, icon("warning"), "The payload is not valid yet: this is the graph of the last one that was.");
  const nothing = h("p", { class: "empty" }, "Fill in what is required, and the rendered graph is here.");
  const whole = h("div", null, stale, nothing, json);
  json.hidden = true;
  const tabs = createTabs("The graph", [
    { name: "picture", words: "Picture", element: createPicture(workflow) },
    { name: "changes", words: "Changes", element: changes },
    { name: "json", words: "JSON", element: whole },
  ]);
  fill(changes, h("p", { class: "empty" }, "Fill in what is required, and what changes in the graph is here."));
  return {
    element: h("div", { class: "graph" }, tabs.element),
    update(rendered) {
      stale.hidden = rendered !== null || json.hidden;
      if (rendered === null) return;
      nothing.hidden = true;
      json.hidden = false;
      code.textContent = stringifyExact(rendered.graph, 2);
      drawChanges(changes, rendered.changes ?? []);
    },
  };
}

/** @param {any} workflow */
function createPicture(workflow) {
  const picture = h("img", { alt: `The graph of ${workflow.title ?? workflow.name}: its nodes, their links, and which parameter goes where` });
  const frame = h("div", { class: "graph-frame", tabIndex: 0, role: "group", "aria-label": "Picture of the graph" }, picture);
  const problem = h("p", { class: "problem", role: "status", hidden: true });
  let scale = 0; // 0: as wide as the frame

  /** @param {number} to */
  function zoom(to) {
    scale = to && Math.min(3, Math.max(0.2, to));
    picture.classList.toggle("fit", scale === 0);
    if (scale) picture.style.setProperty("width", `${picture.naturalWidth * scale}px`);
    else picture.style.removeProperty("width");
  }

  const now = () => scale || picture.clientWidth / (picture.naturalWidth || 1);
  zoom(0);
  fileUrl(`/workflows/${encodeURIComponent(workflow.name)}/graph.svg`)
    .then((url) => (picture.src = url))
    .catch((error) => {
      problem.hidden = false;
      problem.textContent = error.message;
    });
  frame.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse") return; // fingers scroll
    event.preventDefault();
    frame.focus();
    const [x, y] = [event.clientX + frame.scrollLeft, event.clientY + frame.scrollTop];
    frame.setPointerCapture(event.pointerId);
    frame.onpointermove = (/** @type {PointerEvent} */ moved) => frame.scrollTo(x - moved.clientX, y - moved.clientY);
    frame.onlostpointercapture = () => (frame.onpointermove = null);
  });
  /** @type {(words: string, name: import("./icons.js").IconName, act: () => void) => HTMLElement} */
  const tool = (words, name, act) => h("button", { type: "button", class: "icon-button", title: words, "aria-label": words, onclick: act }, icon(name));
  const tools = h(
    "div",
    { class: "graph-tools" },
    tool("Smaller", "minus", () => zoom(now() / 1.25)),
    tool("Larger", "add", () => zoom(now() * 1.25)),
    h("button", { type: "button", class: "button small quiet", onclick: () => zoom(0) }, "Fit"),
    h("button", { type: "button", class: "button small quiet", onclick: () => zoom(1) }, "100 %"),
  );
  return h("div", null, tools, problem, frame);
}

/**
 * @param {HTMLElement} element
 * @param {Change[]} changes
 */
function drawChanges(element, changes) {
  if (changes.length === 0) return void fill(element, h("p", { class: "empty" }, "Nothing: the graph is queued as it was exported."));
  fill(
    element,
    changes.map((change) =>
      h(
        "section",
        { class: "change" },
        h("h2", null, `${change.class_type} (${change.node})`, change.title && change.title !== change.class_type ? h("span", { class: "muted" }, ` ${change.title}`) : null, change.change !== "changed" && h("span", { class: "pill plain" }, change.change)),
        (change.inputs ?? []).map(drawInput),
      ),
    ),
  );
}

/** @param {InputChange} change */
function drawInput({ input, before, after, by }) {
  const names = by?.parameters ?? [];
  const drawn = by?.drawn?.length ? ", drawn" : "";
  return h(
    "dl",
    { class: "input-change" },
    h("dt", null, h("code", null, input), names.length > 0 && h("span", { class: "muted small" }, ` by ${names.join(", ")}${drawn}`)),
    before !== undefined && h("dd", { class: "before" }, h("span", { class: "sr" }, "before: "), valueWords(before)),
    after !== undefined && h("dd", { class: "after" }, h("span", { class: "sr" }, "after: "), valueWords(after)),
  );
}
