// How far a job is: its place in the queue, the node and step it is at, a picture of what is coming, and the way out.

import { announce } from "./announce.js";
import { serverNow } from "./api.js";
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { clockWords } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */

/** @param {Job} job @param {{onCancel: () => void}} actions */
export function createProgress(job, { onCancel }) {
  const bar = h("progress", { max: 1, "aria-label": "Progress" });
  const words = h("span", { class: "progress-words" });
  const attempt = h("span", { class: "pill warn", hidden: true });
  const clock = h("span", { class: "muted clock", title: "Since it was begun" });
  const preview = h("img", { class: "draft", alt: "Preview of what is being made", hidden: true });
  const stop = h("button", { class: "button small", type: "button", onclick: onCancel }, icon("stop"), "Cancel");
  const line = h("div", { class: "line" }, words, attempt, h("span", { class: "grow" }), clock, stop);
  const element = h("div", { class: "progress" }, bar, line, preview);

  let current = job;
  let told = 0;
  const timer = setInterval(tick, 500);

  function tick() {
    const started = current.status === "IN_PROGRESS" && current.started_at;
    clock.textContent = started ? clockWords((serverNow() - Date.parse(started)) / 1000) : "";
  }

  /** @param {Job} next */
  function status(next) {
    const begins = current.status === "IN_QUEUE" && next.status === "IN_PROGRESS";
    current = next;
    if (next.status === "IN_QUEUE") {
      bar.removeAttribute("value");
      const before = next.position ?? 0;
      words.textContent = before ? `Waiting; ${before} before it` : "Waiting; next in the queue";
    } else if (begins || !words.textContent || words.textContent.startsWith("Waiting")) {
      words.textContent = "Starting";
    }
    if (begins) announce("A job runs now.");
    tick();
  }

  /** @param {import("./jobs.js").Progress} now */
  function progress(now) {
    bar.value = now.fraction;
    const steps = now.steps && now.steps > 1 ? `step ${now.step ?? 0} of ${now.steps}` : "";
    const node = now.title ?? now.node ?? "";
    const percent = `${Math.floor(now.fraction * 100)} %`;
    fill(words, h("b", null, percent), [node, steps].filter(Boolean).map((each) => h("span", null, each)));
    attempt.hidden = !now.try || now.try < 2;
    attempt.textContent = `Try ${now.try}: the one before was not good enough`;
    if (now.preview?.startsWith("data:image/")) {
      preview.src = now.preview;
      preview.hidden = false;
    }
    // Half of it and no more: steps would talk over everything else.
    if (now.fraction >= 0.5 && told < 0.5 && now.fraction < 1) announce(`Half of a job is done${node ? `: ${node}` : ""}.`);
    told = now.fraction;
  }

  status(job);
  if (job.progress) progress(job.progress);
  return {
    element,
    status,
    progress,
    /** @param {boolean} now */
    cancelling(now) {
      stop.disabled = now;
      stop.lastChild?.replaceWith(now ? "Cancelling" : "Cancel");
    },
    close() {
      clearInterval(timer);
      preview.removeAttribute("src");
    },
  };
}
