// JSON whose whole numbers stay exact. A seed goes up to 2^64-1; JavaScript's numbers are exact up to 2^53 only.

/** @typedef {Record<string, any>} Payload */

const LONG_NUMBER = /\d{16}/;
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const WHOLE = /^-?\d{16,}$/;
// Nobody can write a text that is taken for a marked number.
const SECRET = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("");
const MARK = `\u0000${SECRET}:`;
const MARKED = new RegExp(`"\\\\u0000${SECRET}:(-?\\d+)"`, "g");

/**
 * Read JSON; a whole number that a number can't hold exactly becomes a BigInt.
 *
 * @param {string} text
 * @returns {any}
 * @throws {SyntaxError} it is no JSON
 */
export function parseExact(text) {
  if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  const marked = text.replace(TOKENS, (token) => (WHOLE.test(token) ? JSON.stringify(MARK + token) : token));
  return JSON.parse(marked, (_, value) =>
    typeof value === "string" && value.startsWith(MARK) ? whole(value.slice(MARK.length)) : value,
  );
}

/**
 * Write JSON; a BigInt becomes its digits.
 *
 * @param {any} value
 * @param {number} [indent] in spaces
 * @returns {string}
 */
export function stringifyExact(value, indent) {
  const text = JSON.stringify(value, (_, each) => (typeof each === "bigint" ? MARK + each : each), indent);
  return text.replace(MARKED, "$1");
}

/**
 * A whole number from its digits: a number where that is exact, else a BigInt.
 *
 * @param {string} digits
 * @returns {number | bigint}
 */
export function whole(digits) {
  const number = Number(digits);
  return Number.isSafeInteger(number) ? number : BigInt(digits);
}

/**
 * Whether two values of a payload say the same.
 *
 * @param {any} one
 * @param {any} other
 * @returns {boolean}
 */
export function same(one, other) {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) {
    // 1 and 1n are the same number.
    return typeof one !== typeof other && isNumber(one) && isNumber(other) && one == other; // eslint-disable-line eqeqeq
  }
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => name in other && same(one[name], other[name]));
}

/** @param {any} value */
function isNumber(value) {
  return typeof value === "number" || typeof value === "bigint";
}
