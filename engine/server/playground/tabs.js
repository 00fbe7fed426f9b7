// Tabs, moved along with arrow keys.

import { h, uniqueId } from "./dom.js";

/**
 * @typedef {{name: string, words: string, element: HTMLElement}} Tab
 */

/**
 * @param {string} label what the tabs are of
 * @param {Tab[]} tabs the first is open
 * @param {(name: string) => void} [onShow] is told which one was opened
 * @returns {{element: HTMLElement, show: (name: string) => void, shown: () => string}}
 */
export function createTabs(label, tabs, onShow) {
  let current = tabs[0]?.name ?? "";
  const made = tabs.map((tab) => {
    const [id, panelId] = [uniqueId("tab"), uniqueId("panel")];
    const button = h("button", { type: "button", role: "tab", id, "aria-controls": panelId, onclick: () => show(tab.name) }, tab.words);
    return { tab, button, panel: h("div", { role: "tabpanel", id: panelId, "aria-labelledby": id, class: "panel" }, tab.element) };
  });

  /** @param {string} name */
  function show(name) {
    const before = current;
    current = name;
    for (const { tab, button, panel } of made) {
      const open = tab.name === name;
      button.setAttribute("aria-selected", String(open));
      button.tabIndex = open ? 0 : -1;
      panel.hidden = !open;
    }
    if (before !== name) onShow?.(name);
  }

  /** @param {KeyboardEvent} event */
  function press(event) {
    const at = made.findIndex(({ tab }) => tab.name === current);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + made.length, Home: 0, End: made.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = made[to % made.length];
    if (!next) return;
    show(next.tab.name);
    next.button.focus();
  }

  show(current);
  const bar = h("div", { class: "tabs", role: "tablist", "aria-label": label, onkeydown: press }, made.map(({ button }) => button));
  return { element: h("div", { class: "tabbed" }, bar, made.map(({ panel }) => panel)), show, shown: () => current };
}
