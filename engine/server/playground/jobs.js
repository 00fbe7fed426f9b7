// Jobs as the server tells of them, and what can be done with one.

import { request, send } from "./api.js";

/**
 * @typedef {{node?: string | null, title?: string, step?: number, steps?: number, fraction: number, try?: number,
 *   preview?: string}} Progress
 * @typedef {{name: string, index: number, kind: string, filename?: string, content_type: string, size_bytes: number,
 *   width?: number, height?: number, duration_seconds?: number, fps?: number, text?: string, url?: string,
 *   base64?: string, path?: string, uri?: string}} Output
 * @typedef {{id: string, status: string, workflow: string, created_at: string, started_at?: string | null,
 *   finished_at?: string | null, position?: number | null, progress?: Progress | null, payload?: Record<string, any>,
 *   payload_shortened?: boolean, output?: any, error?: string | null,
 *   failure?: import("./api.js").Failure | null}} Job
 */

/** @type {Map<string, Promise<any>>} */
const described = new Map();

/** A workflow's description, asked for once while the page is open. @param {string} name @returns {Promise<any>} */
export function describe(name) {
  let found = described.get(name);
  if (!found) {
    found = request("GET", `/workflows/${encodeURIComponent(name)}`);
    described.set(name, found);
    found.catch(() => described.delete(name));
  }
  return found;
}

/** The parameters that decide what chance gives. @param {any} workflow as `describe` gives it */
export function seedNames(workflow) {
  const parameters = Object.entries(workflow?.payload?.properties ?? {});
  return parameters.filter(([, schema]) => schema["x-type"] === "seed").map(([name]) => name);
}

/**
 * Queue a job; it is checked first.
 *
 * @param {string} workflow
 * @param {any} payload an object, or its JSON
 * @returns {Promise<Job>}
 */
export function start(workflow, payload) {
  return send(`/workflows/${encodeURIComponent(workflow)}`, payload, { async: "1", progress: "true", previews: "true" });
}

/** @param {Job} job */
export function cancel(job) {
  return request("POST", `/cancel/${job.id}`);
}

/** @param {Job} job */
export function forget(job) {
  return request("DELETE", `/jobs/${job.id}`);
}

/** @param {string} id @returns {Promise<Job>} */
export function jobOf(id) {
  return request("GET", `/jobs/${encodeURIComponent(id)}`);
}

/** @param {Job} job */
export function isOver(job) {
  return !["IN_QUEUE", "IN_PROGRESS"].includes(job.status);
}

/** What a job made; nothing where it answered in the shape of another worker. @param {Job} job @returns {Output[]} */
export function outputsOf(job) {
  const outputs = job.status === "COMPLETED" ? job.output?.outputs : null;
  return Array.isArray(outputs) ? outputs : [];
}

/** What a job was made of, as far as it is known. @param {Job} job @returns {Record<string, any>} */
export function valuesOf(job) {
  return { ...sentWith(job), ...job.output?.values };
}

/**
 * The payload that makes a job once more.
 *
 * @param {Job} job
 * @param {string[]} seeds
 * @param {boolean} sameSeed draws another seed where false
 */
export function payloadAgain(job, seeds, sameSeed) {
  const payload = sentWith(job);
  for (const name of seeds) {
    const used = job.output?.values?.[name];
    if (!sameSeed) payload[name] = -1;
    else if (used !== undefined) payload[name] = used;
  }
  return payload;
}

/** Its payload without what the history has dropped for its length. @param {Job} job @returns {Record<string, any>} */
function sentWith(job) {
  const sent = Object.entries(job.payload ?? {});
  return Object.fromEntries(job.payload_shortened ? sent.filter(([, value]) => value !== null) : sent);
}

/** Where a result is found; null where the browser can't have it. @param {Output} output */
export function addressOf(output) {
  if (output.base64) return `data:${output.content_type};base64,${output.base64}`;
  if (!output.url) return null;
  const url = new URL(output.url, location.href);
  // A link of the server's own is signed for any name that the server goes by.
  const own = /\/jobs\/[^/]+\/files\/.*$/.exec(url.pathname);
  return own && url.searchParams.has("signature") ? own[0] + url.search : url.href;
}

/** Whether the page may show what lies there: it loads nothing from elsewhere. @param {string | null} address */
export function isOwn(address) {
  return address !== null && (address.startsWith("/") || address.startsWith("data:") || address.startsWith(location.origin));
}

/** The same, to be saved rather than shown. @param {string} address */
export function asDownload(address) {
  return address.startsWith("/") ? `${address}&download=1` : address;
}
