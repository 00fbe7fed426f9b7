// The frame of the pages: which is shown, the header, the dialog that asks for the token.

import { askAgain, onReachable, onTokenNeeded } from "./api.js";
import { fill, h } from "./dom.js";
import { createHeader } from "./header.js";
import "./offline.js";

/**
 * A page: its element, its title, and what ends it (requests, listeners) when another is shown.
 *
 * @typedef {{element: HTMLElement, title: string, failed?: boolean, close?: () => void}} Page
 */

/**
 * Each page is loaded when it is first shown.
 *
 * @type {[RegExp, (one: string, other: string) => Promise<Page>][]}
 */
const ROUTES = [
  [/^#?\/?$/, async () => (await import("./list.js")).createList()],
  [/^#\/workflows\/([^/]+)$/, async (name) => (await import("./workflow_page.js")).createWorkflowPage(name)],
  [/^#\/history$/, async () => ({ ...(await import("./history.js")).createHistory(), title: "History" })],
  [/^#\/jobs\/([^/]+)$/, async (id) => (await import("./job_page.js")).createJobPage(id)],
  [/^#\/compare\/([^/]+)\/([^/]+)$/, async (one, other) => ({ ...(await import("./compare.js")).createCompare(one, other), title: "Compare" })],
];

/** @type {[string, string]} */
const NO_PAGE = ["There is no such page", "The workflows are listed on the first page."];

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const header = createHeader();
/** @type {Page | null} */
let shown = null;
let visits = 0;

async function show() {
  const visit = ++visits;
  const [page, focus] = [await pageAt(location.hash), visit > 1];
  if (visit !== visits) {
    page.close?.(); // another was chosen meanwhile
    return;
  }
  shown?.close?.();
  shown = page;
  document.title = `${page.title} · Workflows`;
  header.show(location.hash);
  fill(main, page.element);
  window.scrollTo(0, 0);
  if (focus) main.focus({ preventScroll: true });
}

/**
 * @param {string} hash
 * @returns {Promise<Page>}
 */
async function pageAt(hash) {
  try {
    for (const [pattern, create] of ROUTES) {
      const found = pattern.exec(hash);
      if (found) return await create(decodeURIComponent(found[1] ?? ""), decodeURIComponent(found[2] ?? ""));
    }
  } catch (error) {
    if (error instanceof URIError) return notice(...NO_PAGE);
    // A part of the page that can't be loaded fails in the browser's own words.
    const text = error instanceof TypeError && /import/.test(error.message) ? "The server can't be reached." : String(/** @type {any} */ (error).message);
    return { ...notice("This page can't be shown", text), failed: true };
  }
  return notice(...NO_PAGE);
}

/**
 * @param {string} title
 * @param {string} text
 * @returns {Page}
 */
function notice(title, text) {
  const again = h("button", { class: "button", type: "button", onclick: () => (askAgain(), void show()) }, "Try again");
  const back = h("p", null, again, " ", h("a", { href: "#/", class: "button quiet" }, "All workflows"));
  return { title, element: h("div", { class: "page narrow" }, h("h1", null, title), h("p", { role: "alert" }, text), back) };
}

document.getElementById("top")?.replaceWith(header.element);
onTokenNeeded(async (asked) => (await import("./token.js")).askForToken(asked));
onReachable((reachable) => reachable && shown?.failed && void show());
window.addEventListener("hashchange", show);
document.querySelector(".skip")?.addEventListener("click", (event) => {
  event.preventDefault(); // the address is the page's, and would be lost
  main.focus();
});
void show();
