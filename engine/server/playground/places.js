// Places in a payload, as the server writes them: `loras[0].strength`.

/** @typedef {import("./fields/field.js").Step} Step */

/**
 * The places that a problem is about. A rule names several: `height, width`.
 *
 * @param {string} text
 * @returns {Step[][]}
 */
export function placesOf(text) {
  return text.split(/,\s+/).map(stepsOf);
}

/**
 * @param {string} place
 * @returns {Step[]}
 */
function stepsOf(place) {
  /** @type {Step[]} */
  const steps = [];
  for (const [, name, index] of place.matchAll(/([^.[\]]+)|\[(\d+)\]/g)) {
    if (index !== undefined) steps.push(Number(index));
    else if (name !== undefined) steps.push(name);
  }
  return steps;
}
