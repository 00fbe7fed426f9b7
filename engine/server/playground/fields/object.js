// Several parameters in one.

import { h } from "../dom.js";
import { labelOf } from "./field.js";

/** @typedef {import("./field.js").Field} Field */
/** @typedef {import("./field.js").Schema} Schema */

/** @type {(given: import("./field.js").Given) => import("./field.js").Control} */
export function object(given) {
  const { schema } = given;
  const required = new Set(schema["required"] ?? []);
  /** @type {[string, Schema][]} */
  const properties = Object.entries(schema["properties"] ?? {});
  const fields = properties.map(([name, inner]) => {
    return given.create({ ...given, name, label: labelOf(name, inner), schema: inner, required: required.has(name) });
  });
  const element = h("div", { class: "fields inner" }, fields.map((each) => each.element));
  return {
    element,
    get input() {
      return fields[0]?.control.input ?? element;
    },
    group: true,
    wide: true,
    value() {
      /** @type {[string, any][]} */
      const given_ = fields.map((each) => [each.name, each.value()]);
      const sent = given_.filter(([, value]) => value !== undefined);
      return sent.length ? Object.fromEntries(sent) : undefined;
    },
    put(value) {
      for (const each of fields) each.put(value?.[each.name]);
    },
    inner: (step) => fields.find((each) => each.name === step),
    all: () => fields,
  };
}
