// Yes or no, as a switch.

import { h } from "../dom.js";

/** @type {(given: import("./field.js").Given) => import("./field.js").Control} */
export function toggle({ changed, id }) {
  const words = h("span", { class: "muted", "aria-hidden": "true" });
  const input = h("input", { id, type: "checkbox", class: "switch", role: "switch", onchange: () => (say(), changed()) });
  let given = true;

  function say() {
    given = true;
    words.textContent = input.checked ? "on" : "off";
  }

  return {
    element: h("div", { class: "toggle" }, input, words),
    input,
    value: () => (given ? input.checked : undefined),
    put(value) {
      input.checked = value === true;
      say();
      given = value !== undefined && value !== null;
    },
  };
}
