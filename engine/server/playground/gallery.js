// The results of a job: pictures, videos, sounds, texts and other files, with what they were made of.

import { copyButton } from "./copying.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { addressOf, asDownload, isOwn, outputsOf, valuesOf } from "./jobs.js";
import { gistOf, sizeWords, stateWords, valueWords } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */
/** @typedef {import("./jobs.js").Output} Output */

/**
 * What a finished job gave: its results, or why there are none; warnings; its values; buttons.
 *
 * @param {Job} job
 * @param {HTMLElement[]} actions buttons; those for its files come after the first
 * @returns {HTMLElement}
 */
export function resultCard(job, actions = []) {
  const outputs = outputsOf(job);
  const warnings = job.output?.warnings;
  return h(
    "div",
    { class: "result" },
    job.status === "COMPLETED" ? results(job, outputs) : failure(job),
    Array.isArray(warnings) && warnings.map((text) => h("p", { class: "notice" }, icon("warning"), String(text))),
    h("div", { class: "line actions" }, actions[0], downloads(outputs), actions.slice(1)),
    values(job),
  );
}

/** @param {Job} job @param {Output[]} outputs */
function results(job, outputs) {
  if (!outputs.length) return h("pre", { class: "text" }, valueWords(job.output));
  const figures = outputs.map((output) => h("figure", { class: "output" }, shown(job, output), h("figcaption", { class: "muted small" }, caption(output))));
  return h("div", { class: outputs.length > 1 ? "results several" : "results" }, figures);
}

/** A result as it is seen, heard or read. @param {Job} job @param {Output} output */
export function shown(job, output) {
  if (output.text !== undefined) return text(output.text);
  const address = addressOf(output);
  if (address === null) return h("p", { class: "file" }, icon("file"), `Kept as ${output.path ?? output.uri ?? output.filename}`);
  const name = output.filename ?? output.name;
  const kind = isOwn(address) ? output.content_type.split("/")[0] : "";
  if (kind === "image") return picture(job, output, address);
  if (kind === "video" || kind === "audio") {
    const onerror = () => player.replaceWith(unshown("played"));
    const player = h(kind, { controls: true, preload: "metadata", playsInline: true, src: address, "aria-label": name, onerror });
    return player;
  }
  const elsewhere = isOwn(address) ? { download: name } : { target: "_blank", rel: "noreferrer" };
  return h("a", { class: "file", href: asDownload(address), ...elsewhere }, icon("file"), name);
}

/** @param {string} how */
function unshown(how) {
  return h("p", { class: "file muted" }, icon("file"), `It can't be ${how} here: this browser may not know its kind, or the file is gone.`);
}

/** @param {Job} job @param {Output} output @param {string} address */
function picture(job, output, address) {
  const gist = gistOf(valuesOf(job));
  const { name, width, height } = output;
  const alt = gist ? `${name}: ${gist}` : name;
  const image = h("img", { class: "checkered", loading: "lazy", decoding: "async", width, height, alt, src: address, onerror: () => button.replaceWith(unshown("shown")) });
  const whole = caption(output);
  const button = h("button", { class: "picture", type: "button", onclick: () => enlarge(button) }, image, h("span", { class: "sr" }, "Show large"));
  button.dataset["words"] = gist ? `${gist} · ${whole}` : whole;
  button.dataset["filename"] = output.filename ?? output.name;
  return button;
}

/** Show a picture large, and with it all others of the page to turn over. @param {HTMLElement} button */
async function enlarge(button) {
  const { openViewer } = await import("./viewer.js");
  const buttons = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("button.picture")]);
  const pictures = buttons.map((each) => {
    const address = each.querySelector("img")?.getAttribute("src") ?? "";
    const [words, filename] = [each.dataset["words"] ?? "", each.dataset["filename"] ?? ""];
    return { address, download: asDownload(address), filename, words };
  });
  openViewer(pictures, buttons.indexOf(button));
}

/** @param {string} content */
function text(content) {
  return h("div", null, h("pre", { class: "text", tabIndex: 0 }, content), copyButton("Copy the text", () => content));
}

/** @param {Output} output */
function caption(output) {
  const kind = output.content_type.split(";")[0]?.split("/").pop()?.replace(/^x-/, "").toUpperCase();
  const seconds = output.duration_seconds;
  return [
    output.name,
    output.width && output.height ? `${output.width} × ${output.height}` : null,
    seconds ? `${seconds.toFixed(seconds < 10 ? 1 : 0)} s` : null,
    output.fps ? `${Number(output.fps.toFixed(2))} fps` : null,
    kind === "PLAIN" ? "text" : kind,
    sizeWords(output.size_bytes),
  ]
    .filter(Boolean)
    .join(" · ");
}

/** @param {Job} job */
function failure(job) {
  if (job.status === "CANCELLED") return h("p", { class: "muted" }, "It was cancelled; it made nothing.");
  return failureNotice(job.failure?.message ?? job.error ?? stateWords(job.status), job.failure?.hint, job.failure?.problems);
}

/** What went wrong, and what to do. @param {string} message @param {string} [hint] @param {import("./api.js").Problem[]} [problems] */
export function failureNotice(message, hint, problems = []) {
  return h(
    "div",
    { class: "notice bad" },
    icon("warning"),
    h(
      "div",
      null,
      // Most messages are their problems, in one line.
      !problems.some((each) => message.includes(each.message)) && h("p", null, message),
      problems.length > 0 && h("ul", null, problems.map((each) => h("li", null, each.parameter ? h("b", null, `${each.parameter}: `) : null, each.message))),
      hint ? h("p", null, `${hint.charAt(0).toUpperCase()}${hint.slice(1)}.`.replace(/\.\.$/, ".")) : null,
    ),
  );
}

/** @param {Output[]} outputs */
function downloads(outputs) {
  const files = outputs.flatMap((output) => {
    const address = addressOf(output);
    return address !== null && isOwn(address) ? [{ address: asDownload(address), filename: output.filename ?? output.name }] : [];
  });
  const [only] = files;
  if (!only) return null;
  if (files.length === 1) return h("a", { class: "button small", href: only.address, download: only.filename }, icon("download"), "Download");
  async function all() {
    for (const { address, filename } of files) {
      h("a", { href: address, download: filename }).click();
      await new Promise((resume) => setTimeout(resume, 400)); // a browser takes only the last of several at once
    }
  }
  return h("button", { class: "button small", type: "button", onclick: all }, icon("download"), `Download all ${files.length}`);
}

/** @param {Job} job */
function values(job) {
  const entries = Object.entries(valuesOf(job));
  if (!entries.length) return null;
  return h(
    "details",
    { class: "values" },
    h("summary", null, "Values"),
    h("dl", null, entries.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", { class: "mono" }, valueWords(value))))),
    job.payload_shortened ? h("p", { class: "muted small" }, "Files that were sent within the request are not kept.") : null,
  );
}
