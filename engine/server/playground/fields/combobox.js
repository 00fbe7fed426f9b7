// One of many, found by typing; what stands in no list may be written, too, and the server judges it.

import { fill, h, uniqueId } from "../dom.js";
import { icon } from "../icons.js";

/** Of a longer list the first are drawn; typing narrows it. */
const MOST = 200;

/** @type {(given: import("./field.js").Given) => import("./field.js").Control} */
export function combobox({ schema, changed, id }) {
  /** @type {string[]} */
  const choices = schema["enum"].filter((/** @type {any} */ each) => typeof each === "string");
  const nullable = schema["default"] === null;
  /** @type {HTMLElement[]} */
  let options = [];
  let active = -1;
  let before = "";
  const popup = h("div", { class: "popup", role: "listbox", id: uniqueId("list"), "aria-label": "Choices", hidden: true, tabIndex: -1 });
  const input = h("input", {
    id,
    class: "input",
    type: "text",
    role: "combobox",
    autocomplete: "off",
    spellcheck: false,
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": popup.id,
    placeholder: nullable ? "none" : `one of ${choices.length}`,
    onfocus: () => {
      before = input.value;
      input.select();
    },
    onclick: () => show(""),
    oninput: () => {
      show(input.value);
      changed();
    },
    onkeydown: press,
    onblur: () => {
      const [only, more] = choices.filter((each) => each.toLowerCase() === input.value.toLowerCase());
      if (only !== undefined && more === undefined && only !== input.value) take(only);
      close();
    },
  });

  /** @param {string} typed */
  function show(typed) {
    const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
    const found = choices.filter((each) => words.every((word) => each.toLowerCase().includes(word)));
    options = found.slice(0, MOST).map((value) => {
      const chosen = value === input.value;
      // On pointerdown: a click would come after the field has lost the focus.
      const onpointerdown = (/** @type {Event} */ event) => {
        event.preventDefault();
        choose(value);
      };
      return h("div", { class: "option", role: "option", id: uniqueId("option"), "aria-selected": String(chosen), onpointerdown }, value);
    });
    const more = found.length > MOST ? h("div", { class: "more" }, `and ${found.length - MOST} more: type to narrow`) : null;
    fill(popup, options, more);
    popup.hidden = options.length === 0;
    input.setAttribute("aria-expanded", String(!popup.hidden));
    activate(typed ? (options.length ? 0 : -1) : found.indexOf(input.value));
  }

  /** @param {number} index */
  function activate(index) {
    options[active]?.classList.remove("active");
    active = index;
    const option = options[index];
    option?.classList.add("active");
    option?.scrollIntoView({ block: "nearest" });
    if (option) input.setAttribute("aria-activedescendant", option.id);
    else input.removeAttribute("aria-activedescendant");
  }

  function close() {
    popup.hidden = true;
    options = [];
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  /** @param {string} value */
  function take(value) {
    input.value = value;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    changed();
  }

  /** @param {string} value */
  function choose(value) {
    take(value);
    before = value;
    close();
    input.focus();
  }

  /** @param {KeyboardEvent} event */
  function press(event) {
    if (event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (popup.hidden) return show("");
      const next = event.key === "ArrowDown" ? active + 1 : active < 0 ? options.length - 1 : active - 1;
      activate((next + options.length) % options.length);
    } else if (event.key === "Enter" && !popup.hidden) {
      event.preventDefault();
      const value = options[active]?.textContent;
      if (value) choose(value);
      else close();
    } else if (event.key === "Escape" && !popup.hidden) {
      event.preventDefault();
      event.stopPropagation();
      if (input.value !== before) take(before);
      close();
    }
  }

  return {
    element: h("div", { class: "combobox" }, input, icon("down"), popup),
    input,
    wide: choices.some((each) => each.length > 24),
    value: () => (input.value === "" ? undefined : input.value),
    put(value) {
      input.value = value === undefined || value === null ? "" : String(value);
    },
  };
}
