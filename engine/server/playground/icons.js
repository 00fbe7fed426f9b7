// Small drawings on buttons, in the colour of the text. They say nothing alone: each button has its words.

const SHAPES = {
  add: "M8 3v10M3 8h10",
  check: "M3 8.5l3.2 3.2L13 5",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M6 6h7v7H6zM3.5 10H3V3h7v.5",
  dice: "M2 4a2 2 0 012-2h8a2 2 0 012 2v8a2 2 0 01-2 2H4a2 2 0 01-2-2zM5 5h.01M11 11h.01M8 8h.01M5 11h.01M11 5h.01",
  down: "M4 6.5l4 4 4-4",
  download: "M8 2.5v8M4.5 7.5L8 11l3.5-3.5M3 13.5h10",
  file: "M4 2h5l3 3v9H4zM9 2v3h3",
  link: "M6.5 9.5l3-3M7 4.5l1.3-1.3a2.8 2.8 0 014 4L11 8.5M9 11.5l-1.3 1.3a2.8 2.8 0 01-4-4L5 7.5",
  locked: "M4 7.5h8V13H4zM5.5 7.5V5a2.5 2.5 0 015 0v2.5",
  minus: "M3 8h10",
  moon: "M13 9.5A5.5 5.5 0 016.5 3 5.5 5.5 0 1013 9.5z",
  play: "M5 3.5v9l7.5-4.5z",
  reset: "M3 8a5 5 0 105-5c-1.7 0-3 .8-4 2M4 2v3h3",
  search: "M7 12A5 5 0 107 2a5 5 0 000 10zM10.8 10.8L14 14",
  stop: "M4 4h8v8H4z",
  sun: "M8 11a3 3 0 100-6 3 3 0 000 6zM8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M12.6 3.4l-.7.7M4.1 11.9l-.7.7",
  system: "M2.5 3.5h11v7h-11zM6 13.5h4",
  unlocked: "M4 7.5h8V13H4zM5.5 7.5V5a2.5 2.5 0 014.8-1",
  up: "M4 9.5l4-4 4 4",
  upload: "M8 11V3M4.5 6L8 2.5 11.5 6M3 13.5h10",
  warning: "M8 2.5l6 11H2zM8 7v3M8 12h.01",
};

/** @typedef {keyof typeof SHAPES} IconName */

const SVG = "http://www.w3.org/2000/svg";

/**
 * A drawing of 16 by 16 pixels, hidden from screen readers.
 *
 * @param {IconName} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  const attributes = { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true", fill: "none", stroke: "currentColor" };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
  const look = { d: SHAPES[name], "stroke-width": "1.5", "stroke-linecap": "round", "stroke-linejoin": "round" };
  for (const [key, value] of Object.entries(look)) path.setAttribute(key, value);
  svg.append(path);
  return svg;
}
