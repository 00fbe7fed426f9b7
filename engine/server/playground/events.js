// Follows a job: by the server's events while they come, else by asking how it stands.

import { ApiError, call, request } from "./api.js";
import { parseExact } from "./exact.js";

/** @typedef {import("./jobs.js").Job} Job @typedef {import("./jobs.js").Progress} Progress */
/** @typedef {{onStatus?: (job: Job) => void, onProgress?: (now: Progress) => void, onDone?: (job: Job) => void}} Handlers */

// A browser opens six connections to a server and no more, over all its tabs: streams must not take them all.
const MOST_STREAMS = 2;
const ASK_EVERY = 2000;
const SILENCE = 40_000; // the server says something every 15 s

let streams = 0;
/** @type {Set<() => void>} */
const waiting = new Set();

/**
 * Follow a job to its end; ends early when told to.
 *
 * Streams are for the oldest of the jobs that are followed, which run first; others are asked for now and then.
 *
 * @param {string} jobId
 * @param {Handlers} handlers
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 * @throws {ApiError} there is no such job, or it may not be seen
 */
export async function events(jobId, handlers, signal) {
  let last = "";
  let failures = 0; // streams in a row that told nothing: something between here and the server may hold them back
  let away = 0; // times in a row that the server could not be asked
  while (!signal.aborted) {
    try {
      if (!document.hidden && failures < 3 && (await freeStream(signal))) {
        try {
          const heard = await stream(jobId, handlers, last, signal);
          if (heard.done) return;
          last = heard.last;
          failures = heard.any ? 0 : failures + 1;
        } finally {
          streams -= 1;
          for (const resume of waiting) resume();
        }
      } else {
        if (await ask(jobId, handlers, signal)) return;
        if (document.hidden || failures >= 3) await pause(ASK_EVERY, signal);
        away = 0;
        continue;
      }
      away = 0;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError) || (error.status >= 400 && error.status < 500 && error.status !== 429)) throw error;
      away += 1;
    }
    await pause(Math.min(500 * 2 ** Math.max(failures, away), 8000), signal);
  }
}

/** Wait a while for a stream to be free, and take it. @param {AbortSignal} signal */
async function freeStream(signal) {
  if (streams >= MOST_STREAMS) await pause(ASK_EVERY, signal, waiting);
  if (streams >= MOST_STREAMS || signal.aborted) return false;
  streams += 1;
  return true;
}

/** Gives whether it has ended. @param {string} jobId @param {Handlers} handlers @param {AbortSignal} signal */
async function ask(jobId, handlers, signal) {
  const job = await request("GET", `/jobs/${jobId}`, undefined, { signal });
  if (job.finished_at) {
    handlers.onDone?.(job);
    return true;
  }
  handlers.onStatus?.(job);
  if (job.progress) handlers.onProgress?.(job.progress);
  return false;
}

/** @param {string} jobId @param {Handlers} handlers @param {string} last event's id @param {AbortSignal} signal */
async function stream(jobId, handlers, last, signal) {
  const ended = new AbortController();
  const end = () => ended.abort();
  let alarm = setTimeout(end, SILENCE);
  signal.addEventListener("abort", end);
  document.addEventListener("visibilitychange", end); // a page that nobody sees holds no connection
  const heard = { done: false, any: false, last };
  try {
    const headers = new Headers({ Accept: "text/event-stream" });
    if (last) headers.set("Last-Event-ID", last);
    const response = await call(`/jobs/${jobId}/events`, { headers, signal: ended.signal });
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    const decoder = new TextDecoder();
    let [rest, name, data] = ["", "", ""];
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return heard;
      clearTimeout(alarm);
      alarm = setTimeout(end, SILENCE);
      const lines = (rest + decoder.decode(value, { stream: true })).split(/\r?\n/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [, field, text] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
        if (field === "event") name = text ?? "";
        else if (field === "data") data += text;
        else if (field === "id") heard.last = text ?? "";
        else if (line === "" && data) {
          heard.any = true;
          const document = parseExact(data);
          if (name === "status") handlers.onStatus?.(document);
          else if (name === "progress") handlers.onProgress?.(document);
          else if (name === "done") {
            heard.done = true;
            handlers.onDone?.(document);
            return heard;
          }
          [name, data] = ["", ""];
        }
      }
    }
  } catch (error) {
    if (signal.aborted || error instanceof ApiError) throw error;
    return heard; // it broke off; whoever follows the job looks again
  } finally {
    clearTimeout(alarm);
    ended.abort();
    signal.removeEventListener("abort", end);
    document.removeEventListener("visibilitychange", end);
  }
}

/**
 * Wait, unless it is called off, or somebody wakes those who wait.
 *
 * @param {number} milliseconds @param {AbortSignal} signal @param {Set<() => void>} [wakers] @returns {Promise<void>}
 */
function pause(milliseconds, signal, wakers) {
  return new Promise((resume) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      wakers?.delete(end);
      resume();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
    wakers?.add(end);
  });
}
