// A group of parameters, closed until it is wanted, or something in it is wrong.

import { h } from "./dom.js";

/** @typedef {import("./fields/field.js").Field} Field */

/**
 * @param {string} name
 * @param {Field[]} fields
 */
export function createGroup(name, fields) {
  const count = h("span", { class: "pill plain" });
  const wrong = h("span", { class: "pill bad", hidden: true }, "to change");
  const names = h("span", { class: "muted small names" }, fields.map((each) => each.label).join(", "));
  const element = h(
    "details",
    { class: "group" },
    h("summary", null, h("span", { class: "group-name" }, name), names, count, wrong),
    h("div", { class: "fields" }, fields.map((each) => each.element)),
  );
  const anyWrong = () => element.querySelector(".wrong") !== null;
  return {
    element,
    /** Tells on the closed group what is in it. */
    look() {
      const changed = fields.filter((each) => each.value() !== undefined).length;
      count.textContent = `${changed} changed`;
      count.hidden = changed === 0;
      wrong.hidden = !anyWrong();
    },
    openIfWrong() {
      if (anyWrong()) element.open = true;
    },
  };
}
