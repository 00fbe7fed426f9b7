// The page of a workflow: its form on the left, what comes of it on the right.

import { ApiError, onReachable, request, send } from "./api.js";
import { fill, h } from "./dom.js";
import { createForm } from "./form.js";
import { icon } from "./icons.js";
import { createRunner } from "./run.js";
import { createTabs } from "./tabs.js";

const PAUSE_MS = 250;

/**
 * @param {string} name
 * @returns {Promise<import("./main.js").Page>}
 */
export async function createWorkflowPage(name) {
  const path = `/workflows/${encodeURIComponent(name)}`;
  const workflow = await request("GET", path);
  const ended = new AbortController();
  let timer = 0;
  let asking = false;
  const form = createForm(workflow, { onChange: () => soon() });
  const use = later(async () => (await import("./use.js")).createUse(workflow));
  const graph = later(async () => (await import("./graph.js")).createGraph(workflow));
  const runner = createRunner({ workflow, form });
  const tabs = createTabs(
    "What comes of it",
    [
      { name: "results", words: "Results", element: runner.results },
      { name: "use", words: "Use it", element: use.element },
      { name: "graph", words: "Graph", element: graph.element },
    ],
    () => soon(0),
  );
  form.element.addEventListener("submit", (event) => {
    event.preventDefault();
    tabs.show("results");
    void runner.run();
  });
  function soon(pause = PAUSE_MS) {
    clearTimeout(timer);
    timer = setTimeout(() => void ask(), pause);
  }

  // One question at a time; what was typed meanwhile is asked after it, and its answer alone is shown.
  async function ask() {
    if (asking) return soon();
    asking = true;
    const payload = form.payloadText();
    const shown = tabs.shown();
    const [rendered, drawn] = await Promise.all([
      render(payload),
      shown === "graph" ? graph.made() : null,
      shown === "use" ? use.made().then((each) => each?.update(payload)) : null,
    ]);
    asking = false;
    if (ended.signal.aborted || payload !== form.payloadText()) return;
    if (rendered.problems) form.showProblems(rendered.problems, { quiet: true });
    drawn?.update(rendered.graph ? rendered : null);
  }

  /** @param {string} payload */
  async function render(payload) {
    try {
      return { ...(await send(`${path}/render`, payload)), problems: [] };
    } catch (error) {
      return error instanceof ApiError && error.status === 422 ? { problems: error.problems } : {};
    }
  }

  soon();
  const unheard = onReachable((reachable) => reachable && soon(0));
  const element = h(
    "div",
    { class: "page" },
    head(workflow),
    h(
      "div",
      { class: "split" },
      h("section", { class: "card form-card", "aria-label": "Parameters" }, form.element, h("div", { class: "run-bar" }, runner.bar)),
      h("section", { class: "results-side", "aria-label": "Results" }, tabs.element),
    ),
  );
  return {
    element,
    title: workflow.title ?? name,
    close() {
      clearTimeout(timer);
      ended.abort();
      unheard();
      form.close();
      runner.close();
    },
  };
}

/**
 * A part of the page that is loaded when it is first shown.
 *
 * @template {{element: HTMLElement}} Part
 * @param {() => Promise<Part>} create
 * @returns {{element: HTMLElement, made: () => Promise<Part | null>}}
 */
function later(create) {
  const element = h("div");
  /** @type {Promise<Part | null> | null} */
  let part = null;
  const made = async () => {
    try {
      const created = await create();
      fill(element, created.element);
      return created;
    } catch {
      part = null; // the server is away; it is tried again
      fill(element, h("p", { class: "empty" }, "This can't be loaded now."));
      return null;
    }
  };
  return { element, made: () => (part ??= made()) };
}

/** @param {any} workflow */
function head(workflow) {
  const kinds = [...new Set((workflow.outputs ?? []).map((/** @type {any} */ each) => each.kind))];
  /** @type {any[]} */
  const missing = workflow.status === "not_ready" ? (workflow.missing ?? []) : [];
  return h(
    "header",
    { class: "page-head" },
    h("p", { class: "crumbs" }, h("a", { href: "#/" }, "Workflows"), " / ", h("code", null, workflow.name)),
    h("div", { class: "line" }, h("h1", null, workflow.title ?? workflow.name), kinds.map((kind) => h("span", { class: "pill plain" }, kind))),
    workflow.description && h("p", null, workflow.description),
    missing.length > 0 &&
      h("div", { class: "notice" }, icon("warning"), h("div", null, "It can't run yet:", h("ul", null, missing.map((each) => h("li", null, h("b", null, each.name), " is missing", each.remedy && `: ${each.remedy}`))))),
  );
}
