// The page of one job.

import { createCard } from "./card.js";
import { h } from "./dom.js";
import { jobOf } from "./jobs.js";
import { openWith } from "./pending.js";

/** @param {string} id @returns {Promise<{element: HTMLElement, title: string, close: () => void}>} */
export async function createJobPage(id) {
  const job = await jobOf(id);
  const card = createCard(job, {
    again: (chosen, payload) => openWith(chosen.workflow, payload),
    removed: () => {
      location.hash = "#/history";
    },
  });
  const workflow = job.workflow ? h("a", { href: `#/workflows/${encodeURIComponent(job.workflow)}` }, job.workflow) : null;
  const crumbs = h("p", { class: "crumbs" }, h("a", { href: "#/history" }, "History"), workflow ? [" / ", workflow] : null);
  const title = h("h1", null, "Job ", h("code", null, job.id));
  card.element.querySelector("details")?.setAttribute("open", "");
  return {
    element: h("div", { class: "page job-page" }, h("div", { class: "page-head" }, crumbs, title), card.element),
    title: `Job ${job.id}`,
    close: card.close,
  };
}
