// Runs a workflow with what stands in its form, and shows what becomes of it, also of what was begun before.

import { announce } from "./announce.js";
import { ApiError, onReachable, request } from "./api.js";
import { fill, h } from "./dom.js";
import { failureNotice } from "./gallery.js";
import { icon } from "./icons.js";
import { start } from "./jobs.js";
import { createJobs } from "./list_of_jobs.js";
import { takePending } from "./pending.js";

/**
 * @typedef {{element: HTMLFormElement, payloadText: () => string, fill: (payload: any) => void, focusFirst: () => void,
 *   settled: () => Promise<void>, showProblems: (problems: import("./api.js").Problem[]) => void}} Form
 * @typedef {import("./jobs.js").Job} Job
 */

const AT_FIRST = 12;

/**
 * The run button with its troubles (`bar`), and the workflow's jobs (`results`).
 *
 * @param {{workflow: any, form: Form}} parts the workflow as GET /workflows/NAME tells it
 * @returns {{bar: HTMLElement, results: HTMLElement, run: () => Promise<void>, close: () => void}}
 */
export function createRunner({ workflow, form }) {
  const name = /** @type {string} */ (workflow.name ?? workflow.workflow);
  const trouble = h("div", { role: "alert" });
  const mac = /Mac|iPhone|iPad/.test(navigator.platform);
  const button = h("button", { class: "button primary run", type: "button", onclick: () => form.element.requestSubmit() }, icon("play"), h("span", null, "Run"));
  const hint = h("span", { class: "muted small keys" }, h("kbd", null, mac ? "⌘ Enter" : "Ctrl Enter"));
  const bar = h("div", { class: "runner" }, h("div", { class: "line" }, button, hint), trouble);
  const none = h("p", { class: "empty", hidden: true }, "Nothing was made with it yet. Results come here.");
  const all = h("p", { class: "small" }, h("a", { href: "#/history" }, "All jobs are in the history"));
  const jobs = createJobs({ again, started, ended, removed: empty });
  const results = h("div", { class: "run-results" }, none, jobs.element, all);
  const unheard = onReachable((reachable) => {
    if (reachable && !loaded) void load();
  });
  let sending = false;
  let loaded = false;
  let lastSent = "";

  async function run() {
    if (sending) return;
    sending = true;
    // Not `disabled`, which would take the focus from whoever pressed it.
    button.setAttribute("aria-disabled", "true");
    button.lastElementChild?.replaceChildren("Sending");
    fill(trouble);
    form.showProblems([]);
    try {
      await form.settled();
      const job = await start(name, form.payloadText());
      lastSent = job.id;
      announce("Queued.");
      started(job);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // What no value of the form is to blame for is told below the button alone.
      form.showProblems(error.status === 422 ? error.problems : error.problems.filter((each) => each.parameter));
      // The form lists what is wrong with its values, marks each, and takes the marks away once that is mended.
      if (error.status !== 422 || !error.problems.length) told(error.message, error.failure.hint);
    } finally {
      sending = false;
      button.removeAttribute("aria-disabled");
      button.lastElementChild?.replaceChildren("Run");
    }
  }

  /** @param {string} message @param {string} [hint] */
  function told(message, hint) {
    fill(trouble, failureNotice(message, hint));
  }

  /** @param {Job} job */
  function started(job) {
    jobs.prepend([job]);
    empty();
    // On a narrow page the results are far below the button.
    const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
    jobs.element.firstElementChild?.scrollIntoView({ block: "nearest", behavior: reduced ? "auto" : "smooth" });
  }

  /** @param {Job} job */
  function ended(job) {
    // What is wrong with a value can be found out late, of a picture that is fetched; the form says so too.
    const problems = job.failure?.problems;
    if (job.id === lastSent && problems?.length) form.showProblems(problems);
  }

  /** @param {Job} job @param {Record<string, any>} payload */
  function again(job, payload) {
    form.fill(payload);
    fill(trouble);
    announce("The form has the values of that job.");
    if (job.payload_shortened) told("Files that were sent within the request are not kept.", "add them once more");
    form.element.scrollIntoView({ block: "nearest" });
    form.focusFirst();
  }

  function empty() {
    none.hidden = jobs.count > 0;
  }

  async function load() {
    try {
      const page = await request("GET", `/jobs?workflow=${encodeURIComponent(name)}&limit=${AT_FIRST}`);
      loaded = true;
      jobs.append(page.jobs);
      empty();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status) told(error.message, error.failure.hint);
    }
  }

  /** @param {KeyboardEvent} event */
  function pressed(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    form.element.requestSubmit();
  }

  document.addEventListener("keydown", pressed);
  const pending = takePending(name);
  if (pending) form.fill(pending);
  void load();
  return {
    bar,
    results,
    run,
    close() {
      document.removeEventListener("keydown", pressed);
      unheard();
      jobs.close();
    },
  };
}
