// The form of a workflow, made from the JSON Schema of its payload.

import { fill as put, h, uniqueId } from "./dom.js";
import { stringifyExact } from "./exact.js";
import { create } from "./fields/create.js";
import { labelOf } from "./fields/field.js";
import { createGroup } from "./groups.js";
import { icon } from "./icons.js";
import { kept, keep } from "./keeping.js";
import { placesOf } from "./places.js";

/** @typedef {import("./fields/field.js").Field} Field */
/** @typedef {import("./fields/field.js").Schema} Schema */
/** @typedef {import("./api.js").Problem} Problem */

/**
 * @typedef {object} Form
 * @property {HTMLFormElement} element the page submits it, on Ctrl+Enter
 * @property {() => Record<string, any>} payload what differs from the defaults; a whole number too long for a number is a
 *     BigInt
 * @property {() => string} payloadText the same as JSON
 * @property {(payload: Record<string, any>) => void} fill in these values and the defaults of all others
 * @property {(problems: Problem[], options?: {quiet?: boolean}) => void} showProblems marks what is wrong in its place;
 *     `quiet` is for while it is typed: what was not touched yet stays unmarked, and the focus where it is
 * @property {() => Promise<void>} settled ends once the files that are under way are there, so that the payload has them
 * @property {() => void} focusFirst
 * @property {() => void} close
 */

/**
 * @param {any} workflow as GET /workflows/NAME gives it
 * @param {{onChange: () => void}} options `onChange` is called after each change
 * @returns {Form}
 */
export function createForm(workflow, { onChange }) {
  /** @type {Schema} */
  const schema = workflow.payload;
  const required = new Set(schema["required"] ?? []);
  const examples = workflow.examples ?? [];
  const summary = h("div", { class: "problems", role: "alert", tabIndex: -1, hidden: true });
  const ended = new AbortController();
  /** @type {Problem[]} */
  let problems = [];
  let loud = false; // all is marked, since a run was refused
  let refused = ""; // the payload of that run: what only a run finds out stays marked until it is changed
  let filling = false;
  let pressing = false; // marks would move what is under the finger, and its click would be lost
  let late = false; // whether marks wait for that

  /** @type {Map<string, Field[]>} */
  const groups = new Map([["", []]]);
  const fields = Object.entries(/** @type {Record<string, Schema>} */ (schema["properties"] ?? {})).map(([name, each]) => {
    const made = create({ name, label: labelOf(name, each), schema: each, required: required.has(name), changed });
    const group = each["x-group"] ?? "";
    groups.set(group, [...(groups.get(group) ?? []), made]);
    return made;
  });
  const drawn = [...groups].filter(([name]) => name).map(([name, inside]) => createGroup(name, inside));

  const chips = examples.map((/** @type {any} */ example, /** @type {number} */ index) =>
    h("button", { type: "button", class: "chip", onclick: () => fillByHand(example.payload) }, example.title ?? `Example ${index + 1}`),
  );
  const reset = h("button", { type: "button", class: "button small quiet", onclick: () => fillByHand({}) }, icon("reset"), "Reset");
  const head = h(
    "div",
    { class: "form-head" },
    chips.length > 0 && h("div", { class: "chips", role: "group", "aria-label": "Examples: fill in the values of one" }, chips),
    reset,
  );
  const element = h(
    "form",
    { id: uniqueId("form"), class: "form", noValidate: true, "aria-label": "Parameters" },
    head,
    summary,
    h("div", { class: "fields" }, (groups.get("") ?? []).map((each) => each.element)),
    drawn.map((each) => each.element),
  );
  // Not once all is marked: a summary drawn anew would take the focus from who tabs through it.
  element.addEventListener("focusout", () => queueMicrotask(() => loud || mark()));
  document.addEventListener("pointerdown", () => (pressing = true), { signal: ended.signal });
  for (const kind of ["pointerup", "pointercancel"]) document.addEventListener(kind, released, { signal: ended.signal });
  for (const kind of /** @type {const} */ (["dragover", "drop", "paste"])) {
    document.addEventListener(kind, takeFiles, { signal: ended.signal });
  }

  function changed() {
    if (filling) return;
    keep(workflow.name, payload());
    for (const each of drawn) each.look();
    onChange();
  }

  function payload() {
    const given = fields.map((each) => /** @type {[string, any]} */ ([each.name, each.value()]));
    return Object.fromEntries(given.filter(([, value]) => value !== undefined));
  }

  function payloadText() {
    return stringifyExact(payload());
  }

  /** @param {Record<string, any>} values */
  function fill(values) {
    filling = true;
    for (const each of fields) each.put(values[each.name]);
    filling = false;
    showProblems([]);
    changed();
  }

  /** @param {Record<string, any>} values */
  function fillByHand(values) {
    fill(values);
    focusFirst();
  }

  function focusFirst() {
    (fields.find((each) => each.value() === undefined && required.has(each.name)) ?? fields[0])?.focus();
  }

  async function settled() {
    await Promise.all(everyField(fields).map((each) => each.control.busy?.()));
  }

  /** @param {DragEvent | ClipboardEvent} event */
  function takeFiles(event) {
    const data = event instanceof ClipboardEvent ? event.clipboardData : event.dataTransfer;
    if (event.type === "dragover") return void (data?.types.includes("Files") && event.preventDefault());
    const files = [...(data?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault(); // else the browser would leave the page, and show the file
    const at = /** @type {Node} */ (event.target);
    const all = everyField(fields).filter((each) => each.control.take);
    const wanted = all.filter((each) => each.element.contains(at));
    const empty = all.filter((each) => each.control.value() === undefined);
    for (const each of [...wanted, ...empty, ...all]) if (each.control.take?.(files)) return;
  }

  /**
   * @param {Problem[]} found
   * @param {{quiet?: boolean}} [options]
   */
  function showProblems(found, { quiet = false } = {}) {
    if (quiet && loud && refused === payloadText()) return;
    if (!quiet) refused = payloadText();
    problems = found;
    loud = found.length > 0 && (loud || !quiet);
    mark();
    if (loud && !quiet) {
      for (const each of drawn) each.openIfWrong();
      summary.focus();
    }
  }

  function released() {
    pressing = false;
    if (late) setTimeout(mark); // after the click
  }

  function mark() {
    late = pressing;
    if (late) return;
    /** @type {Map<Field, string[]>} */
    const wrong = new Map();
    /** @type {HTMLElement[]} */
    const lines = [];
    for (const { parameter, message } of problems) {
      const known = placesOf(parameter ?? "").flatMap(([first, ...rest]) => fields.find((each) => each.name === first)?.find(rest) ?? []);
      for (const each of known) {
        // What is just being typed is not told to be wrong before it is done.
        const busy = each.element.contains(document.activeElement) && !each.element.classList.contains("wrong");
        if (loud || (each.touched() && !busy)) wrong.set(each, [...(wrong.get(each) ?? []), message]);
      }
      if (loud) lines.push(line(known, parameter, message));
    }
    for (const each of everyField(fields)) each.mark((wrong.get(each) ?? []).join("; "));
    for (const each of drawn) each.look();
    summary.hidden = !loud;
    if (!loud) put(summary);
    else put(summary, h("h2", null, lines.length === 1 ? "One thing to change" : `${lines.length} things to change`), h("ul", null, lines));
  }

  /**
   * @param {Field[]} found
   * @param {string} parameter
   * @param {string} message
   */
  function line(found, parameter, message) {
    const links = found.flatMap((each, index) => [index > 0 && ", ", h("button", { type: "button", class: "link", onclick: () => goTo(each) }, each.label)]);
    return h("li", null, found.length ? links : parameter, parameter ? ": " : "", message);
  }

  /** @param {Field} each */
  function goTo(each) {
    each.element.closest("details")?.setAttribute("open", "");
    each.focus();
    each.element.scrollIntoView({ block: "center" });
  }

  fill(kept(workflow.name));
  return {
    element,
    payload,
    payloadText,
    fill,
    showProblems,
    settled,
    focusFirst,
    close() {
      ended.abort();
      for (const each of everyField(fields)) each.control.close?.();
    },
  };
}

/**
 * @param {Field[]} fields
 * @returns {Field[]} with those inside
 */
function everyField(fields) {
  return fields.flatMap((each) => [each, ...everyField(each.control.all?.() ?? [])]);
}
