// Follows a job: by the server's events while they come, else by asking how it stands.

import { ApiError, call, request } from "./api.js";
import { parseExact } from "./exact.js";

/** @typedef {import("./jobs.js").Job} Job @typedef {import("./jobs.js").Progress} Progress */
/** @typedef {{onStatus?: (job: Job) => void, onProgress?: (now: Progress) => void, onDone?: (job: Job) => void}} Handlers */

// A browser opens six connections to a server and no more, over all its tabs: streams must not take them all.
const MOST_STREAMS = 2;
const ASK_EVERY = 2000;
const AT_ONCE = 4; // so many jobs are asked about in that time, however many are followed
const SILENCE = 40_000; // the server says something every 15 s

let streams = 0;
/** Those who wait to ask again, with the place of their job. @type {Map<() => void, number>} */
const waiting = new Map();
document.addEventListener("visibilitychange", wake);

/**
 * Follow a job to its end; ends early when told to.
 *
 * Streams are for jobs that run and those that are next; others are asked about now and then.
 *
 * @param {Job} job
 * @param {Handlers} handlers
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 * @throws {ApiError} there is no such job, or it may not be seen
 */
export async function events(job, handlers, signal) {
  let last = "";
  let place = placeOf(job);
  let failures = 0; // streams in a row that told nothing: something between here and the server may hold them back
  let away = 0; // times in a row that the server could not be asked
  while (!signal.aborted) {
    try {
      if (!document.hidden && failures < 3 && place < MOST_STREAMS && streams < MOST_STREAMS) {
        streams += 1;
        try {
          const heard = await stream(job.id, handlers, last, signal);
          if (heard.done) return;
          last = heard.last;
          failures = heard.any ? 0 : failures + 1;
        } finally {
          streams -= 1;
          wake();
        }
      } else {
        await pause(ASK_EVERY * Math.max(1, waiting.size / AT_ONCE), signal, place);
        const now = await request("GET", `/jobs/${job.id}`, undefined, { signal });
        if (now.finished_at) return void handlers.onDone?.(now);
        handlers.onStatus?.(now);
        if (now.progress) handlers.onProgress?.(now.progress);
        place = placeOf(now);
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

/** Below 0 while it runs, else how many are before it. @param {Job} job */
function placeOf(job) {
  return job.status === "IN_PROGRESS" ? -1 : (job.position ?? 0);
}

/** Have those asked about that run, or are next. */
function wake() {
  const first = [...waiting].sort(([, one], [, other]) => one - other).slice(0, MOST_STREAMS);
  for (const [resume] of first) resume();
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
 * Wait, unless it is called off; with a place, those whose turn has come are woken.
 *
 * @param {number} milliseconds @param {AbortSignal} signal @param {number} [place] @returns {Promise<void>}
 */
function pause(milliseconds, signal, place) {
  return new Promise((resume) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      waiting.delete(end);
      resume();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
    if (place !== undefined) waiting.set(end, place);
  });
}
