// Which control a parameter gets.

import { uniqueId } from "../dom.js";
import { choice } from "./choice.js";
import { combobox } from "./combobox.js";
import { field, typeOf } from "./field.js";
import { list } from "./list.js";
import { media } from "./media.js";
import { number } from "./number.js";
import { object } from "./object.js";
import { seed } from "./seed.js";
import { toggle } from "./toggle.js";
import { text } from "./text.js";

/** @typedef {import("./field.js").Given} Given */
/** @typedef {import("./field.js").Control} Control */

/** So many choices are read at a glance; more are searched. */
const FEW = 12;

/** @type {Record<string, (given: Given) => Control>} */
const CONTROLS = {
  integer: number,
  number,
  boolean: toggle,
  seed,
  image: media,
  mask: media,
  video: media,
  audio: media,
  file: media,
  array: list,
  object,
};

/**
 * The field of a parameter.
 *
 * @param {Omit<Given, "create" | "id" | "labelId">} given
 * @returns {import("./field.js").Field}
 */
export function create(given) {
  return field({ ...given, create, id: uniqueId("field"), labelId: uniqueId("label") }, controlFor(given));
}

/**
 * @param {Pick<Given, "schema">} given
 * @returns {(given: Given) => Control}
 */
function controlFor({ schema }) {
  const choices = schema["enum"];
  if (choices) return choices.length > FEW && typeOf(schema) === "string" ? combobox : choice;
  return CONTROLS[typeOf(schema)] ?? text;
}
