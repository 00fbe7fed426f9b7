// A number: a field, and a slider beside it where both bounds are known.

import { h } from "../dom.js";
import { whole } from "../exact.js";

/** A slider of more steps than these is no longer exact. */
const MOST_STEPS = 5000;

/** @type {(given: import("./field.js").Given) => import("./field.js").Control} */
export function number({ schema, changed, id }) {
  const whole_ = [schema["type"]].flat().includes("integer");
  const { low, high, step } = rangeOf(schema, whole_);
  const ranged = low !== undefined && high !== undefined && high > low && (high - low) / step <= MOST_STEPS;
  const bounds = { min: low ?? "", max: high ?? "", step };
  const input = h("input", {
    id,
    class: "input number",
    type: "number",
    inputmode: whole_ ? "numeric" : "decimal",
    placeholder: schema["default"] === undefined ? "" : String(schema["default"] ?? "none"),
    ...bounds,
    oninput: () => {
      follow();
      changed();
    },
  });
  // For pointers: a keyboard and a screen reader have the same in the field, with arrow keys.
  const slider = ranged
    ? h("input", {
        type: "range",
        class: "slider",
        tabIndex: -1,
        "aria-hidden": "true",
        ...bounds,
        oninput: () => {
          input.value = slider?.value ?? "";
          follow();
          changed();
        },
      })
    : null;

  function follow() {
    if (!slider) return;
    slider.value = input.value === "" ? String(schema["default"] ?? low) : input.value;
    const part = ((Number(slider.value) - Number(low)) / (Number(high) - Number(low))) * 100;
    slider.style.setProperty("--part", `${part}%`);
  }

  return {
    element: h("div", { class: slider ? "with-slider" : "without-slider" }, slider, input),
    input,
    hint: hintOf(schema),
    value() {
      if (input.validity.badInput) return ""; // what no number is; the server says so
      if (input.value === "") return undefined;
      return whole_ && /^-?\d+$/.test(input.value) ? whole(input.value) : Number(input.value);
    },
    put(value) {
      input.value = value === undefined || value === null ? "" : String(value);
      follow();
    },
  };
}

/**
 * @param {import("./field.js").Schema} schema
 * @param {boolean} whole_
 * @returns {{low?: number, high?: number, step: number}}
 */
function rangeOf(schema, whole_) {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
  const least = Number(minimum ?? exclusiveMinimum ?? NaN);
  const most = Number(maximum ?? exclusiveMaximum ?? NaN);
  const step = multipleOf ?? (whole_ ? 1 : stepFor(most - least));
  // Steps are counted from the least value, so that has to be one that is allowed.
  const low = multipleOf ? Math.ceil(least / step) * step : minimum === undefined ? least + step : least;
  const high = multipleOf ? Math.floor(most / step) * step : maximum === undefined ? most - step : most;
  return { ...(Number.isNaN(low) ? {} : { low }), ...(Number.isNaN(high) ? {} : { high }), step };
}

/** @param {number} range */
function stepFor(range) {
  if (range <= 5) return 0.01;
  return range <= 50 ? 0.1 : range <= 500 ? 0.5 : range <= MOST_STEPS ? 1 : 0.1;
}

/** @param {import("./field.js").Schema} schema */
function hintOf({ minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf }) {
  const low = minimum ?? exclusiveMinimum;
  const high = maximum ?? exclusiveMaximum;
  const range =
    low !== undefined && high !== undefined
      ? `${low} – ${high}`
      : low !== undefined
        ? `${minimum === undefined ? "above" : "from"} ${low}`
        : high !== undefined
          ? `${maximum === undefined ? "below" : "up to"} ${high}`
          : "";
  return [range, multipleOf && multipleOf !== 1 ? `by ${multipleOf}` : ""].filter(Boolean).join(", ");
}
