// The call that the form would make, to be copied into a program.

import { copyButton } from "./copying.js";
import { h } from "./dom.js";
import { send } from "./api.js";
import { createTabs } from "./tabs.js";

const LANGUAGES = [
  ["curl", "curl"],
  ["python", "Python"],
  ["javascript", "JavaScript"],
  ["runpod", "RunPod"],
];

/**
 * @param {any} workflow as GET /workflows/NAME gives it
 * @returns {{element: HTMLElement, update: (payload: any, signal?: AbortSignal) => Promise<void>}} `update` takes the
 *     payload, or its JSON
 */
export function createUse(workflow) {
  const texts = LANGUAGES.map(([name, words]) => {
    const code = h("code", null, "…");
    const copy = copyButton(`Copy the ${words} call`, () => code.textContent ?? "");
    const element = h("div", { class: "code" }, copy, h("pre", { tabIndex: 0, "aria-label": `${words} call` }, code));
    return { name: name ?? "", words: words ?? "", element, code };
  });
  const problem = h("p", { class: "problem", role: "status", hidden: true });
  const tabs = createTabs("Languages", texts);
  const element = h("div", { class: "use" }, h("p", { class: "muted small" }, "The same call, from a program. It follows what you type; what has its default is left out."), tabs.element, problem);
  return {
    element,
    async update(payload) {
      try {
        const calls = await send(`/workflows/${encodeURIComponent(workflow.name)}/calls`, payload);
        for (const { name, code } of texts) if (code.textContent !== calls[name]) code.textContent = calls[name] ?? "";
        problem.hidden = true;
      } catch (error) {
        problem.hidden = false;
        problem.textContent = error instanceof Error ? error.message : String(error);
      }
    },
  };
}
