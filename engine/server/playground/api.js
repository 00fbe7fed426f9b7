// Talks to the server: the token, exact whole numbers, its failures as errors, and whether it can be reached.

import { parseExact, stringifyExact } from "./exact.js";

/** @typedef {{parameter: string, message: string}} Problem */
/** @typedef {{code?: string, message?: string, hint?: string, retryable?: boolean, problems?: Problem[]}} Failure */
/** @typedef {{name: string, content_type: string, size_bytes: number, width?: number, height?: number}} Upload */

/** What the server refused, and why; its status is 0 where there was no answer. */
export class ApiError extends Error {
  /** @param {number} status @param {Failure} failure @param {string} message */
  constructor(status, failure, message) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.failure = failure;
  }

  get problems() {
    return this.failure.problems ?? [];
  }
}

const KEPT = "token";
const MOST_FILES = 48;

/** @typedef {(asked: {wrong: boolean}) => Promise<string | null>} AskForToken */

/** @type {AskForToken} */
let askForToken = () => Promise.resolve(null);
/** @type {Promise<boolean> | null} */
let asking = null;
let declined = false;
let memory = ""; // where the browser keeps nothing
let clockSkew = 0;

/**
 * Say how a person is asked for the token, when the server wants one.
 *
 * @param {AskForToken} callback is told whether the last one was wrong; gives null where none is given
 */
export function onTokenNeeded(callback) {
  askForToken = callback;
}

/** Let the token be asked for once more, though it was not given before. */
export function askAgain() {
  declined = false;
}

/** The server's time, in milliseconds since 1970: its clock and this machine's can differ. */
export function serverNow() {
  return Date.now() + clockSkew;
}

/**
 * Ask the server.
 *
 * @param {string} method
 * @param {string} path with its query: `/jobs?limit=5`
 * @param {any} [body] a text is JSON already; a FormData is sent as such; all else is written as JSON
 * @param {{signal?: AbortSignal | undefined}} [options]
 * @returns {Promise<any>} the answer, from JSON; null where it is empty
 * @throws {ApiError} it was refused, or the server can't be reached
 */
export async function request(method, path, body, { signal } = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  const sent = body === undefined || typeof body === "string" || body instanceof FormData ? body : stringifyExact(body);
  if (typeof sent === "string") headers["Content-Type"] = "application/json";
  const text = await (await call(path, { method, headers, body: sent, signal: signal ?? null })).text();
  return text ? parsed(text) : null;
}

/**
 * Post a payload.
 *
 * @param {string} path
 * @param {any} payload an object, or its JSON
 * @param {Record<string, string>} [query]
 */
export function send(path, payload, query) {
  return request("POST", query ? `${path}?${new URLSearchParams(query)}` : path, payload);
}

/**
 * Send files, whose names a payload may then use.
 *
 * @param {Iterable<File>} files
 * @returns {Promise<Upload[]>} in their order
 */
export async function upload(files) {
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  return (await request("POST", "/files", form)).files;
}

/** @type {Map<string, Promise<string>>} */
const blobs = new Map();

/**
 * Where an element of the page, which can send no token, finds a file of the server's.
 *
 * @param {string} path such as `/files/cat.png`
 * @returns {Promise<string>} its path, or a blob URL where the server wants a token; the oldest of those end
 */
export async function fileUrl(path) {
  if (!token()) return path;
  let url = blobs.get(path);
  if (!url) {
    url = call(path, {}).then(async (response) => URL.createObjectURL(await response.blob()));
    blobs.set(path, url);
    url.catch(() => blobs.delete(path));
    for (const [oldest, old] of blobs) {
      if (blobs.size <= MOST_FILES) break;
      blobs.delete(oldest);
      old.then(URL.revokeObjectURL, () => {});
    }
  }
  return url;
}

/**
 * Fetch with the token, asking for it where it is wanted.
 *
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<Response>} below 400
 * @throws {ApiError} it was refused, or the server can't be reached
 */
export async function call(path, options) {
  const background = (options.method ?? "GET") === "GET";
  for (;;) {
    const used = token();
    const headers = new Headers(options.headers);
    if (used) headers.set("Authorization", `Bearer ${used}`);
    const response = await reached(path, { ...options, headers });
    if (response.ok) return response;
    // Whoever would give no token is not asked again for what the page does by itself.
    const ask = response.status === 401 && !(declined && background);
    if (ask && (token() !== used || (await newToken(used !== "")))) continue;
    throw await refusal(response);
  }
}

/** @param {string} path @param {RequestInit} options */
async function reached(path, options) {
  try {
    const response = await fetch(path, { ...options, cache: "no-store" });
    const date = Date.parse(response.headers.get("Date") ?? "");
    // A date has whole seconds: less than that is no difference.
    if (date) clockSkew = Math.abs(date - Date.now()) > 1500 ? date - Date.now() : 0;
    tell(true);
    return response;
  } catch (error) {
    if (options.signal?.aborted) throw error;
    tell(false);
    throw new ApiError(0, { retryable: true }, "The server can't be reached.");
  }
}

/** @param {boolean} wrong */
function newToken(wrong) {
  asking ??= (async () => {
    const given = await askForToken({ wrong });
    declined = given === null;
    if (given !== null) keep(given.trim());
    return given !== null;
  })().finally(() => {
    asking = null;
  });
  return asking;
}

/** @returns {string} */
export function token() {
  try {
    return localStorage.getItem(KEPT) ?? memory;
  } catch {
    return memory;
  }
}

/** @param {string} given */
function keep(given) {
  memory = given;
  try {
    localStorage.setItem(KEPT, given);
  } catch {
    // It is kept until the page is left.
  }
}

/** @param {Response} response */
async function refusal(response) {
  let answer;
  try {
    answer = parsed(await response.text());
  } catch {
    answer = null;
  }
  const failure = answer?.failure ?? {};
  const said = response.status === 401 ? "This server needs its token." : (failure.message ?? answer?.error ?? answer?.detail);
  const message = typeof said === "string" && said ? said : `The server answered ${response.status}.`;
  const wait = response.status === 429 && !failure.hint ? response.headers.get("Retry-After") : null;
  return new ApiError(response.status, wait ? { ...failure, hint: `try again in ${wait} s` } : failure, message);
}

/** @param {string} text */
function parsed(text) {
  try {
    return parseExact(text);
  } catch (error) {
    throw new ApiError(0, {}, `The server's answer is no JSON: ${error instanceof Error ? error.message : error}`);
  }
}

/** @type {Set<(reachable: boolean) => void>} */
const listeners = new Set();
let reachable = true;

/**
 * Be told when the server can't be reached, and when it can again; what it returns ends it.
 *
 * @param {(reachable: boolean) => void} callback
 */
export function onReachable(callback) {
  listeners.add(callback);
  return () => listeners.delete(callback);
}

/** @param {boolean} now */
function tell(now) {
  if (now === reachable) return;
  reachable = now;
  if (!now) void lookAgain();
  for (const callback of [...listeners]) callback(now);
}

async function lookAgain() {
  for (let wait = 500; !reachable; wait = Math.min(wait * 2, 8000)) {
    await new Promise((resume) => setTimeout(resume, wait));
    try {
      await reached("/server", {});
    } catch {
      // Still away.
    }
  }
}
