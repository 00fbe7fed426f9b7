// The first page: the workflows, searched by name and words.

import { request } from "./api.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

/**
 * A line of GET /workflows.
 *
 * @typedef {{name: string, status: string, title?: string, description?: string | null, version?: string, kinds?: string[],
 *   problems?: string[]}} Line
 */

const STATUS = /** @type {Record<string, [string, string]>} */ ({
  ready: ["good", "Ready"],
  not_ready: ["warn", "Something is missing"],
  broken: ["bad", "Broken"],
});

/** @returns {Promise<import("./main.js").Page>} */
export async function createList() {
  const { workflows, warnings } = await request("GET", "/workflows");
  const cards = /** @type {Line[]} */ (workflows).map((line) => ({ line, element: card(line), words: wordsOf(line) }));
  const count = h("p", { class: "muted small", role: "status" });
  const none = h("p", { class: "empty", hidden: true }, "No workflow has these words.");
  const search = h("input", {
    class: "input",
    type: "search",
    placeholder: "Search by name, words or kind",
    "aria-label": "Search the workflows",
    oninput: narrow,
  });
  function narrow() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const { element, words } of cards) {
      element.hidden = !wanted.every((word) => words.includes(word));
      left += element.hidden ? 0 : 1;
    }
    none.hidden = left > 0;
    count.textContent = left === cards.length ? `${left} workflows` : `${left} of ${cards.length} workflows`;
  }
  narrow();
  const element = h(
    "div",
    { class: "page" },
    h(
      "div",
      { class: "list-head" },
      h("div", null, h("h1", null, "Workflows"), count),
      h("div", { class: "search" }, icon("search"), search),
    ),
    (warnings ?? []).map((/** @type {unknown} */ text) => h("p", { class: "notice" }, icon("warning"), String(text))),
    h("ul", { class: "workflows" }, cards.map((each) => each.element)),
    none,
  );
  return { element, title: "All" };
}

/** @param {Line} line */
function card(line) {
  const [tone, words] = STATUS[line.status] ?? ["", line.status];
  const heading = line.title ?? line.name;
  const broken = line.status === "broken";
  return h(
    "li",
    { class: "card workflow" },
    h("h2", null, broken ? heading : h("a", { href: `#/workflows/${encodeURIComponent(line.name)}` }, heading)),
    h("code", { class: "muted" }, line.name),
    h("p", { class: "muted" }, broken ? (line.problems ?? []).join("; ") : line.description),
    h(
      "div",
      { class: "line" },
      (line.kinds ?? []).map((kind) => h("span", { class: "pill plain" }, kind)),
      h("span", { class: "grow" }),
      h("span", { class: `pill ${tone}` }, words),
    ),
  );
}

/** @param {Line} line */
function wordsOf(line) {
  return [line.name, line.title, line.description, line.status, ...(line.kinds ?? [])].join(" ").toLowerCase();
}
