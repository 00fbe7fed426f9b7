// One of a few.

import { fill, h } from "../dom.js";
import { same } from "../exact.js";

/** @type {(given: import("./field.js").Given) => import("./field.js").Control} */
export function choice({ schema, required, changed, id }) {
  /** @type {any[]} */
  const choices = schema["enum"];
  /** @type {any[]} */
  let offered = choices;
  const input = h("select", { id, class: "input", onchange: changed });

  /** @param {any[]} values */
  function offer(values) {
    offered = values;
    const first = required ? h("option", { value: "" }, "Choose…") : null;
    fill(input, first, values.map((value, index) => h("option", { value: String(index) }, value === null ? "none" : String(value))));
  }

  offer(choices);
  return {
    element: input,
    input,
    wide: choices.some((each) => String(each).length > 24),
    value: () => (input.value === "" ? undefined : offered[Number(input.value)]),
    put(value) {
      if (value === undefined || (value === null && !choices.includes(null))) {
        input.value = "";
        return;
      }
      // What is no choice here is shown all the same: the server says what is wrong with it.
      offer(choices.some((each) => same(each, value)) ? choices : [...choices, value]);
      input.value = String(offered.findIndex((each) => same(each, value)));
    },
  };
}
