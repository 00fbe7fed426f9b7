// All jobs that the server remembers: searched, and narrowed down by workflow and state.

import { announce } from "./announce.js";
import { ApiError, onReachable, request } from "./api.js";
import { fill, h } from "./dom.js";
import { failureNotice } from "./gallery.js";
import { icon } from "./icons.js";
import { createJobs } from "./list_of_jobs.js";
import { openWith } from "./pending.js";
import { STATE_NAMES, countWords, stateWords } from "./words.js";

const PAGE = 24;
const LOOK_EVERY = 4000;

// Kept while the page is open: whoever looks at a job and comes back finds what was searched for.
const asked = { search: "", workflow: "", status: "" };

/** @returns {{element: HTMLElement, close: () => void}} */
export function createHistory() {
  const jobs = createJobs({
    again: (job, payload) => openWith(job.workflow, payload),
    started: (job) => jobs.prepend([job]),
    removed: () => empty(),
  });
  const trouble = h("div", { role: "alert" });
  const none = h("p", { class: "empty", hidden: true });
  const more = h("button", { class: "button", type: "button", hidden: true, onclick: () => load(true) }, "More");
  const search = h("input", { class: "input", type: "search", value: asked.search, placeholder: "Search names and values", "aria-label": "Search the history", oninput: typed });
  const workflow = h("select", { class: "input", "aria-label": "Workflow", onchange: chosen }, h("option", { value: "" }, "All workflows"));
  const states = STATE_NAMES.map((state) => h("option", { value: state }, stateWords(state)));
  const status = h("select", { class: "input", "aria-label": "State", onchange: chosen }, h("option", { value: "" }, "All states"), states);
  status.value = asked.status;
  const element = h(
    "div",
    { class: "page" },
    h("div", { class: "list-head" }, h("h1", null, "History"), h("div", { class: "filters" }, h("div", { class: "search" }, icon("search"), search), workflow, status)),
    trouble,
    none,
    jobs.element,
    h("div", { class: "line onwards" }, more),
  );
  /** @type {AbortController} */
  let loading = new AbortController();
  /** @type {string | null} */
  let next = null;
  let typing = 0;

  function typed() {
    clearTimeout(typing);
    typing = setTimeout(chosen, 250);
  }

  function chosen() {
    Object.assign(asked, { search: search.value.trim(), workflow: workflow.value, status: status.value });
    void load(false);
  }

  /** @param {string | null} before */
  function query(before) {
    const wanted = Object.entries({ ...asked, before: before ?? "", limit: String(PAGE) }).filter(([, value]) => value);
    return `/jobs?${new URLSearchParams(wanted)}`;
  }

  /** @param {boolean} onwards */
  async function load(onwards) {
    loading.abort();
    const { signal } = (loading = new AbortController());
    more.setAttribute("aria-disabled", "true");
    try {
      const page = await request("GET", query(onwards ? next : null), undefined, { signal });
      if (signal.aborted) return;
      const last = jobs.element.lastElementChild;
      if (!onwards) jobs.clear();
      jobs.append(page.jobs);
      next = page.next;
      fill(trouble);
      const focused = document.activeElement === more;
      more.hidden = !next;
      if (onwards && focused) /** @type {HTMLElement | null | undefined} */ (last?.nextElementSibling?.querySelector("a"))?.focus();
      empty();
      if (asked.search || onwards) announce(`${countWords(jobs.count, "job", "jobs")}${next ? ", and more" : ""}.`);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      if (error.status) fill(trouble, failureNotice(error.message, error.failure.hint, error.problems));
    } finally {
      more.removeAttribute("aria-disabled");
    }
  }

  /** Jobs that somebody else has sent since. */
  async function look() {
    if (document.hidden) return;
    const { signal } = loading;
    try {
      const page = await request("GET", query(null), undefined, { signal });
      if (signal.aborted) return;
      const known = page.jobs.findIndex((/** @type {import("./jobs.js").Job} */ job) => jobs.has(job.id));
      jobs.prepend(known < 0 ? page.jobs : page.jobs.slice(0, known));
      empty();
    } catch (error) {
      if (!signal.aborted && !(error instanceof ApiError)) throw error; // it is tried again
    }
  }

  function empty() {
    none.hidden = jobs.count > 0;
    const narrowed = asked.search || asked.workflow || asked.status;
    fill(none, narrowed ? "No job is like that." : ["Nothing was run yet. ", h("a", { href: "#/" }, "Choose a workflow"), "."]);
  }

  async function listWorkflows() {
    const { workflows } = await request("GET", "/workflows").catch(() => ({ workflows: [] }));
    const names = /** @type {{name: string}[]} */ (workflows).map((each) => each.name);
    workflow.append(...names.map((name) => h("option", { value: name }, name)));
    workflow.value = asked.workflow;
  }

  const timer = setInterval(look, LOOK_EVERY);
  const unheard = onReachable((reachable) => {
    if (reachable) void load(false);
  });
  void load(false);
  void listWorkflows();
  return {
    element,
    close() {
      clearInterval(timer);
      clearTimeout(typing);
      loading.abort();
      unheard();
      jobs.close();
    },
  };
}
