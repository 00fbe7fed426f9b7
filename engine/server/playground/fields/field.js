// What stands around every control: its name, what it means, what is wrong with it, the way back to its default.

import { h, uniqueId } from "../dom.js";
import { same } from "../exact.js";
import { icon } from "../icons.js";

/** @typedef {Record<string, any>} Schema */
/** @typedef {string | number} Step a name or a place in a list: `loras[0].strength` is three of them */

/**
 * What a control is made from.
 *
 * @typedef {object} Given
 * @property {string} name of the parameter; of an item of a list, its number
 * @property {string} label for people
 * @property {Schema} schema its JSON Schema
 * @property {boolean} required
 * @property {() => void} changed to be called after each change by hand
 * @property {(given: Given) => Field} create makes what is inside
 * @property {string} id of the control
 * @property {string} labelId of its name
 */

/**
 * A control: the part that differs from type to type.
 *
 * @typedef {object} Control
 * @property {HTMLElement} element
 * @property {HTMLElement} input what has the focus, and is marked as invalid
 * @property {() => any} value undefined: nothing is given
 * @property {(value: any) => void} put undefined: nothing is given
 * @property {boolean} [group] it is no single field, so its name is that of a group
 * @property {boolean} [wide] it takes the whole width
 * @property {string} [hint] bounds, in a few signs
 * @property {(step: Step) => Field | undefined} [inner]
 * @property {() => Field[]} [all] the fields inside
 * @property {(files: File[]) => boolean} [take] takes files that were dropped or pasted; false: they are none for it
 * @property {() => Promise<void> | null} [busy] ends when what is under way has
 * @property {() => void} [close]
 */

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {HTMLElement} element
 * @property {Control} control
 * @property {() => any} value what is to be sent; undefined where that is the default
 * @property {(value: any) => void} put undefined: the default
 * @property {(message: string) => void} mark as wrong, with the server's words; an empty text takes the mark away
 * @property {(steps: Step[]) => Field} find the field at a place, or the nearest around it
 * @property {() => void} focus
 * @property {() => boolean} touched whether it was changed, or left, by hand
 * @property {() => boolean} differs whether its value is not the default
 */

/**
 * @param {Given} given
 * @param {(given: Given) => Control} make
 * @returns {Field}
 */
export function field(given, make) {
  const { schema, label, required } = given;
  const control = make(given);
  const start = required ? undefined : schema["default"];
  let touched = false;
  const reset = h(
    "button",
    {
      type: "button",
      class: "reset",
      hidden: true,
      title: `Back to the default${told(start)}`,
      "aria-label": `Back to the default${told(start)}`,
      "aria-describedby": given.labelId,
      onclick: () => {
        put(undefined);
        given.changed();
        control.input.focus();
      },
    },
    icon("reset"),
  );
  const note = schema["description"] ? h("p", { class: "note", id: uniqueId("note") }, schema["description"]) : null;
  const problem = h("p", { class: "problem", id: uniqueId("problem"), hidden: true });
  const name = control.group
    ? h("span", { class: "label", id: given.labelId }, label)
    : h("label", { class: "label", id: given.labelId, for: given.id }, label);
  name.title = given.name;
  const element = h(
    "div",
    { class: `field${control.wide ? " wide" : ""}`, "data-parameter": given.name },
    h(
      "div",
      { class: "field-head" },
      name,
      reset,
      h("span", { class: "hint" }, required ? "required" : schema["deprecated"] ? "deprecated" : (control.hint ?? "")),
    ),
    control.element,
    problem,
    note,
  );
  if (control.group) {
    control.element.setAttribute("role", "group");
    control.element.setAttribute("aria-labelledby", given.labelId);
  }
  describe();
  for (const kind of ["input", "change", "focusout"]) element.addEventListener(kind, () => (touched = true));
  element.addEventListener("input", look);
  element.addEventListener("change", look);

  function describe() {
    const ids = [problem.hidden ? "" : problem.id, note?.id ?? ""].filter(Boolean).join(" ");
    const described = control.group ? control.element : control.input;
    if (ids) described.setAttribute("aria-describedby", ids);
    else described.removeAttribute("aria-describedby");
  }

  function differs() {
    const value = control.value();
    return value !== undefined && !same(shortened(value, schema), shortened(start, schema));
  }

  function look() {
    const changed = !required && differs();
    reset.hidden = !changed;
    element.classList.toggle("changed", changed);
  }

  /** @param {any} value */
  function put(value) {
    control.put(value === undefined ? start : value);
    look();
  }

  put(undefined);
  /** @type {Field} */
  const made = {
    name: given.name,
    label,
    element,
    control,
    value: () => (differs() ? control.value() : undefined),
    put,
    mark(message) {
      problem.hidden = !message;
      problem.textContent = message;
      element.classList.toggle("wrong", Boolean(message));
      if (message) control.input.setAttribute("aria-invalid", "true");
      else control.input.removeAttribute("aria-invalid");
      describe();
    },
    find(steps) {
      const [first, ...rest] = steps;
      const inner = first === undefined ? undefined : control.inner?.(first);
      return inner ? inner.find(rest) : made;
    },
    focus: () => control.input.focus(),
    touched: () => touched,
    differs,
  };
  return made;
}

/**
 * A value without what has its own default inside: `{"name": "a"}` and `{"name": "a", "strength": 1}` may be the same.
 *
 * @param {any} value
 * @param {Schema} schema
 * @returns {any}
 */
function shortened(value, schema) {
  if (Array.isArray(value)) return value.map((each) => shortened(each, schema["items"] ?? {}));
  const inner = schema["properties"];
  if (!inner || typeof value !== "object" || value === null) return value;
  const parts = Object.entries(value).map(([name, each]) => [name, shortened(each, inner[name] ?? {})]);
  return Object.fromEntries(parts.filter(([name, each]) => !same(each, inner[name]?.["default"])));
}

/** @param {any} value */
function told(value) {
  if (value === undefined || value === null || typeof value === "object") return "";
  const text = value === "" ? "empty" : String(value);
  return `: ${text.length > 40 ? `${text.slice(0, 40)}…` : text}`;
}

/** @type {Record<string, string>} */
const WRITTEN = { cfg: "CFG", ckpt: "checkpoint", fps: "FPS", lora: "LoRA", loras: "LoRAs", url: "URL", vae: "VAE" };

/**
 * The name of a parameter as people write it: `negative_prompt` is "Negative prompt".
 *
 * @param {string} name
 * @param {Schema} schema
 * @returns {string}
 */
export function labelOf(name, schema) {
  const words = name.split("_").map((word) => WRITTEN[word] ?? word).join(" ");
  return schema["title"] ?? words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * The type of a schema, without null.
 *
 * @param {Schema} schema
 * @returns {string}
 */
export function typeOf(schema) {
  const types = [schema["type"]].flat().filter((each) => each !== "null");
  return schema["x-type"] ?? types[0] ?? "string";
}
