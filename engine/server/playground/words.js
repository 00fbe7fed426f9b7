// How values, sizes and times are written.

import { stringifyExact } from "./exact.js";

/** @type {Record<string, string>} */
const STATES = {
  IN_QUEUE: "Waiting",
  IN_PROGRESS: "Running",
  COMPLETED: "Done",
  FAILED: "Failed",
  CANCELLED: "Cancelled",
  TIMED_OUT: "Took too long",
};

export const STATE_NAMES = Object.keys(STATES);

/** @param {string} status */
export function stateWords(status) {
  return STATES[status] ?? status;
}

/** @param {number} bytes */
export function sizeWords(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const power = bytes < 999_500 ? 1 : bytes < 999_500_000 ? 2 : 3;
  const size = bytes / 1000 ** power;
  return `${size.toFixed(size < 10 ? 1 : 0)} ${["", "kB", "MB", "GB"][power]}`;
}

/** @param {number} seconds that something took */
export function tookWords(seconds) {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return `${clockWords(seconds)} min`;
}

/** @param {number} seconds as a clock that runs shows them: 0:07 */
export function clockWords(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** @param {string} date */
export function dateWords(date) {
  const when = new Date(date);
  const today = when.toDateString() === new Date().toDateString();
  return when.toLocaleString([], today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}

/** @param {any} value of a payload; a very long one is cut off */
export function valueWords(value) {
  if (value === null || value === undefined) return "none";
  const text = typeof value === "object" ? stringifyExact(value) : String(value);
  return text.length > 4000 ? `${text.slice(0, 4000)}…` : text;
}

/** What a job is about: its prompt, or the longest of its texts that names no file. @param {Record<string, any>} values */
export function gistOf(values) {
  const texts = Object.entries(values).filter(
    ([name, value]) => typeof value === "string" && !/negative/.test(name) && !/^data:|^\S+\.\w{1,12}$/.test(value),
  );
  const prompts = texts.filter(([name, value]) => /prompt|text/.test(name) && value.trim());
  const longest = (prompts.length ? prompts : texts).reduce((one, [, other]) => (other.length > one.length ? other : one), "");
  return longest.length > 90 ? `${longest.slice(0, 88).trim()}…` : longest.trim();
}

/** @param {number} count @param {string} one @param {string} many */
export function countWords(count, one, many) {
  return `${count} ${count === 1 ? one : many}`;
}
