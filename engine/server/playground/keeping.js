// What a form held, kept by the browser's tab over a reload; files are not, but for their names.

import { parseExact, stringifyExact } from "./exact.js";

const LONGEST = 20_000;

/**
 * @param {string} workflow
 * @returns {Record<string, any>}
 */
export function kept(workflow) {
  try {
    return parseExact(sessionStorage.getItem(`form:${workflow}`) ?? "{}");
  } catch {
    return {};
  }
}

/**
 * @param {string} workflow
 * @param {Record<string, any>} payload
 */
export function keep(workflow, payload) {
  const short = Object.entries(payload).filter(([, value]) => stringifyExact(value).length <= LONGEST);
  try {
    sessionStorage.setItem(`form:${workflow}`, stringifyExact(Object.fromEntries(short)));
  } catch {
    // A tab that keeps nothing begins anew.
  }
}
