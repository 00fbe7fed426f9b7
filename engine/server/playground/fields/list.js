// A list: rows that are added, moved and taken away, as many as its bounds allow.

import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { typeOf } from "./field.js";

/** @typedef {import("./field.js").Field} Field */
/** @typedef {import("./field.js").Schema} Schema */

/** @type {(given: import("./field.js").Given) => import("./field.js").Control} */
export function list(given) {
  const { schema, label, changed } = given;
  /** @type {Schema} */
  const items = schema["items"] ?? {};
  const least = schema["minItems"] ?? 0;
  const most = schema["maxItems"] ?? Infinity;
  const objects = typeOf(items) === "object";
  const none = objects ? {} : typeOf(items) === "string" ? "" : null; // a row that is still empty
  const one = singular(label);
  /** @type {Field[]} */
  let rows = [];
  let filled = false; // whether the list is one; a list that may be left out is not, until a row is added
  const places = h("ol", { class: "rows" });
  const add = h("button", { type: "button", class: "button small", onclick: () => addRow(true) }, icon("add"), `Add ${one}`);
  const said = h("span", { class: "sr", role: "status" });

  function row() {
    return given.create({ ...given, name: "", label: one, schema: items, required: true });
  }

  /** @param {boolean} byHand */
  function addRow(byHand) {
    const made = row();
    if (items["default"] !== undefined) made.put(items["default"]);
    rows.push(made);
    filled = true;
    draw();
    if (byHand) {
      tell(`${one} ${rows.length} added`);
      made.focus();
    }
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  function move(from, to) {
    const [moved] = rows.splice(from, 1);
    if (!moved) return;
    rows.splice(to, 0, moved);
    draw();
    tell(`moved to place ${to + 1}`);
    const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (places.children[to]?.querySelectorAll(".row-tools button:not(:disabled)"));
    ([...buttons].find((each) => each.dataset["to"] === (to < from ? "up" : "down")) ?? buttons[0])?.focus();
  }

  /** @param {number} index */
  function remove(index) {
    rows[index]?.control.close?.();
    rows.splice(index, 1);
    draw();
    tell(`${one} taken away, ${rows.length} left`);
    (rows[Math.min(index, rows.length - 1)] ?? { focus: () => add.focus() }).focus();
  }

  /** @param {string} words */
  function tell(words) {
    said.textContent = words;
    places.dispatchEvent(new Event("change", { bubbles: true }));
    changed();
  }

  function draw() {
    fill(places, rows.map(drawn));
    add.disabled = rows.length >= most;
    add.title = add.disabled ? `At most ${most}` : "";
  }

  /**
   * @param {Field} each
   * @param {number} index
   */
  function drawn(each, index) {
    const name = `${one} ${index + 1}`;
    /** @type {(words: string, picture: import("../icons.js").IconName, off: boolean, act: () => void, to?: string) => HTMLElement} */
    const tool = (words, picture, off, act, to = "") =>
      h("button", { type: "button", class: "icon-button", title: words, "aria-label": `${name}: ${words}`, disabled: off, "data-to": to, onclick: act }, icon(picture));
    const tools = h(
      "div",
      { class: "row-tools" },
      tool("move up", "up", index === 0, () => move(index, index - 1), "up"),
      tool("move down", "down", index === rows.length - 1, () => move(index, index + 1), "down"),
      tool("take away", "close", rows.length <= least, () => remove(index)),
    );
    return h("li", { class: objects ? "row" : "row simple" }, h("span", { class: "row-number", "aria-hidden": "true" }, String(index + 1)), each.element, tools);
  }

  return {
    element: h("div", { class: "list" }, places, add, said),
    get input() {
      return rows[0]?.control.input ?? add;
    },
    group: true,
    wide: true,
    hint: most === Infinity ? (least ? `at least ${least}` : "") : least ? `${least} – ${most}` : `at most ${most}`,
    value: () => (filled ? rows.map((each) => each.control.value() ?? none) : undefined),
    put(value) {
      rows.forEach((each) => each.control.close?.());
      rows = [];
      filled = Array.isArray(value);
      for (const each of filled ? value : []) {
        const made = row();
        made.put(each);
        rows.push(made);
      }
      while (given.required && rows.length < least) addRow(false);
      draw();
    },
    inner: (step) => rows[Number(step)],
    all: () => rows,
    close: () => rows.forEach((each) => each.control.close?.()),
  };
}

/** @param {string} label */
function singular(label) {
  return label.endsWith("s") && !label.endsWith("ss") ? label.slice(0, -1) : label;
}
