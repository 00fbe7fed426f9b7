// One job from its place in the queue to its results, and what can be done with it.

import { announce } from "./announce.js";
import { ApiError } from "./api.js";
import { fill, h, uniqueId } from "./dom.js";
import { failureNotice, resultCard } from "./gallery.js";
import { icon } from "./icons.js";
import { cancel, describe, forget, isOver, outputsOf, payloadAgain, seedNames, start, valuesOf } from "./jobs.js";
import { isPicked, onPicked, pick } from "./picking.js";
import { createProgress } from "./progress.js";
import { countWords, dateWords, gistOf, stateWords, tookWords, valueWords } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */

/**
 * What a page does with a job beyond what the card does itself.
 *
 * @typedef {{
 *   again: (job: Job, payload: Record<string, any>) => void,
 *   started?: (job: Job) => void,
 *   removed?: (job: Job) => void,
 *   ended?: (job: Job) => void,
 * }} Actions
 */

/** @type {Record<string, string>} */
const TONES = { COMPLETED: "good", FAILED: "bad", TIMED_OUT: "bad", IN_PROGRESS: "busy" };

/** @param {Job} first @param {Actions} actions @returns {{element: HTMLElement, id: string, close: () => void}} */
export function createCard(first, actions) {
  const followed = new AbortController();
  const heading = uniqueId("job");
  const body = h("div", { class: "job-body" });
  const head = h("header", { class: "line job-head" });
  const trouble = h("div", { role: "alert" });
  const element = h("article", { class: "card job", "aria-labelledby": heading, "data-job": first.id }, head, body, trouble);
  let job = first;
  /** @type {ReturnType<typeof createProgress> | null} */
  let progress = null;
  /** @type {() => void} */
  let unpicked = () => {};

  function showHead() {
    const began = job.started_at ? Date.parse(job.started_at) : NaN;
    const took = job.finished_at && began ? tookWords((Date.parse(job.finished_at) - began) / 1000) : "";
    element.dataset["status"] = job.status;
    fill(
      head,
      h("span", { class: `pill ${TONES[job.status] ?? ""}` }, stateWords(job.status)),
      h("h2", { id: heading }, h("a", { href: `#/jobs/${job.id}`, dir: "auto" }, gistOf(valuesOf(job)) || job.workflow || "A job")),
      h("span", { class: "muted small" }, [job.workflow, dateWords(job.created_at), took].filter(Boolean).join(" · ")),
    );
  }

  /** @param {Job} next */
  function show(next) {
    job = { ...job, ...next };
    showHead();
    fill(trouble);
    if (!isOver(job)) {
      if (progress) progress.status(job);
      else fill(body, (progress = createProgress(job, { onCancel: () => tried(stop) })).element);
      return;
    }
    const hadFocus = progress?.element.contains(document.activeElement) ?? false;
    progress?.close();
    progress = null;
    const buttons = h("span", { class: "contents" });
    const remove = button("Delete", () => tried(removed));
    fill(body, resultCard(job, [buttons, remove]));
    void offer(buttons);
    if (hadFocus) element.querySelector("a")?.focus({ preventScroll: true });
  }

  async function stop() {
    progress?.cancelling(true);
    try {
      await cancel(job);
    } catch (error) {
      progress?.cancelling(false);
      throw error;
    }
  }

  /** @param {HTMLElement} place where the buttons come */
  async function offer(place) {
    const compare = outputsOf(job).some((output) => /^(image|video|text)\//.test(output.content_type)) ? compareButton() : null;
    fill(place, compare);
    const seeds = job.payload && job.workflow ? await describe(job.workflow).then(seedNames, () => null) : null;
    if (!seeds) return; // the workflow is gone
    const used = seeds.filter((name) => job.output?.values?.[name] !== undefined);
    head.lastElementChild?.append(...used.map((name) => ` · ${name} ${valueWords(job.output.values[name])}`));
    const words = used.length ? "Again with this seed" : "Use these values";
    const again = button(words, () => actions.again(job, payloadAgain(job, seeds, true)));
    again.prepend(icon("reset"));
    // What was dropped for its length can't be sent once more: a person adds it in the form.
    const vary = button("Vary", (event) => tried(() => varied(seeds, event)));
    vary.prepend(icon("dice"));
    vary.title = "Runs once more with the same values and another seed";
    fill(place, again, seeds.length > 0 && !job.payload_shortened && vary, compare);
  }

  /** @param {string} words @param {(event: MouseEvent) => void} onclick */
  function button(words, onclick) {
    return h("button", { class: "button small", type: "button", onclick }, words);
  }

  function compareButton() {
    const mark = () => toggle.setAttribute("aria-pressed", String(isPicked(job.id)));
    const toggle = button("Compare", () => pick(job.id));
    mark();
    unpicked = onPicked(mark);
    return toggle;
  }

  /** @param {string[]} seeds @param {MouseEvent} event */
  async function varied(seeds, event) {
    const pressed = /** @type {HTMLButtonElement} */ (event.currentTarget);
    pressed.setAttribute("aria-disabled", "true");
    try {
      const made = await start(job.workflow, payloadAgain(job, seeds, false));
      announce("Another one is queued.");
      if (actions.started) actions.started(made);
      else location.hash = `#/jobs/${made.id}`;
    } finally {
      pressed.removeAttribute("aria-disabled");
    }
  }

  async function removed() {
    const { confirmed } = await import("./dialogs.js");
    const text = "It leaves the history, and its result files are removed. This can't be undone.";
    if (!(await confirmed("Delete this job?", text, "Delete"))) return;
    await forget(job);
    if (isPicked(job.id)) pick(job.id);
    announce("The job was deleted.");
    close();
    const next = element.nextElementSibling ?? element.previousElementSibling;
    element.remove();
    next?.querySelector("a")?.focus();
    actions.removed?.(job);
  }

  /** @param {() => Promise<void>} act */
  async function tried(act) {
    try {
      fill(trouble);
      await act();
    } catch (error) {
      tell(error);
    }
  }

  /** @param {unknown} error */
  function tell(error) {
    if (!(error instanceof ApiError)) throw error;
    fill(trouble, failureNotice(error.message, error.failure.hint, error.problems));
  }

  async function follow() {
    const handlers = {
      onStatus: (/** @type {Job} */ next) => !isOver(next) && show(next),
      onProgress: (/** @type {import("./jobs.js").Progress} */ now) => progress?.progress(now),
      onDone: (/** @type {Job} */ next) => {
        show(next);
        announce(ending(next));
        actions.ended?.(next);
      },
    };
    try {
      const loaded = await import("./events.js").catch(() => null);
      if (!loaded) throw new ApiError(0, { hint: "load the page again" }, "It can't be followed now.");
      await loaded.events(job, handlers, followed.signal);
    } catch (error) {
      tell(error);
    }
  }

  function close() {
    followed.abort();
    progress?.close();
    unpicked();
  }

  show(first);
  if (!isOver(first)) void follow();
  return { element, id: first.id, close };
}

/** @param {Job} job */
function ending(job) {
  const made = outputsOf(job).length;
  if (job.status === "COMPLETED") return `Done: ${countWords(made, "result", "results")}.`;
  return job.status === "CANCELLED" ? "The job was cancelled." : `The job failed: ${job.failure?.message ?? job.error ?? ""}`;
}
