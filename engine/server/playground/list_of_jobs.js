// Cards of jobs, the newest first.

import { createCard } from "./card.js";
import { h } from "./dom.js";

const MOST_NEW = 100; // the history has the older ones

/** @typedef {import("./jobs.js").Job} Job */

/** @param {import("./card.js").Actions} actions */
export function createJobs(actions) {
  const element = h("div", { class: "jobs" });
  /** @type {Map<string, ReturnType<typeof createCard>>} */
  const cards = new Map();
  const own = {
    ...actions,
    removed: (/** @type {Job} */ job) => {
      cards.delete(job.id);
      actions.removed?.(job);
    },
  };

  let closed = false; // what is answered after the page was left starts nothing any more

  /** @param {Job} job @param {boolean} first */
  function add(job, first) {
    if (closed || cards.has(job.id)) return;
    const card = createCard(job, own);
    cards.set(job.id, card);
    if (first) element.prepend(card.element);
    else element.append(card.element);
    const oldest = first && cards.size > MOST_NEW ? cards.get(element.lastElementChild?.getAttribute("data-job") ?? "") : null;
    if (oldest) {
      oldest.close();
      oldest.element.remove();
      cards.delete(oldest.id);
    }
  }

  function clear() {
    for (const card of cards.values()) card.close();
    cards.clear();
    element.replaceChildren();
  }

  return {
    element,
    /** @param {Job[]} jobs the newest first, older than all that are there */
    append: (jobs) => jobs.forEach((job) => add(job, false)),
    /** @param {Job[]} jobs the newest first, newer than all that are there */
    prepend: (jobs) => [...jobs].reverse().forEach((job) => add(job, true)),
    clear,
    close() {
      closed = true;
      clear();
    },
    /** @param {string} id */
    has: (id) => cards.has(id),
    /** How many there are. */
    get count() {
      return cards.size;
    },
  };
}
