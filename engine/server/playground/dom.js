// Makes elements. Text is always set as text: nothing that a caller or a server sends is read as HTML.

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Child | Child[]} Children */

/**
 * Make an element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any> | null} [attributes] `class`; `onclick` and the like with a function; `aria-…`, `data-…`,
 *     `role`, `for` and `style` (an object of properties) as attributes; all else is a property where the element has
 *     one, else an attribute. What is null, undefined or false is left out, but for properties.
 * @param {...Children} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) put(element, name, value);
  element.append(...present(children));
  return element;
}

/**
 * @param {HTMLElement} element
 * @param {string} name
 * @param {any} value
 */
function put(element, name, value) {
  if (name.startsWith("on") && typeof value === "function") {
    element.addEventListener(name.slice(2), value);
  } else if (name === "style") {
    // Through the object: the page's Content-Security-Policy forbids style attributes.
    for (const [property, text] of Object.entries(value)) element.style.setProperty(property, String(text));
  } else if (name === "class") {
    if (value) element.className = value;
  } else if (name in element && !name.includes("-") && name !== "role" && name !== "list") {
    if (value !== undefined && value !== null) /** @type {any} */ (element)[name] = value;
  } else if (value !== undefined && value !== null && value !== false) {
    element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : String(value));
  }
}

/**
 * Put these, and nothing else, into an element.
 *
 * @template {Element} Parent
 * @param {Parent} element
 * @param {...Children} children
 * @returns {Parent}
 */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

/**
 * @param {Children[]} children
 * @returns {(Node | string)[]}
 */
function present(children) {
  /** @type {(Node | string)[]} */
  const found = [];
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    found.push(child instanceof Node ? child : String(child));
  }
  return found;
}

let ids = 0;

/**
 * An id that no other element of the page has.
 *
 * @param {string} [beginning]
 */
export function uniqueId(beginning = "id") {
  ids += 1;
  return `${beginning}-${ids}`;
}
