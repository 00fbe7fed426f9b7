// A text: one line, or as many as are written.

import { h } from "../dom.js";

/** @type {(given: import("./field.js").Given) => import("./field.js").Control} */
export function text({ schema, required, changed, id }) {
  const many = Boolean(schema["x-multiline"]);
  const look = {
    id,
    dir: "auto",
    class: `input${many ? " many" : ""}`,
    placeholder: String(schema["examples"]?.[0] ?? ""),
    autocomplete: "off",
    required,
    oninput: () => {
      typed = true;
      grow();
      changed();
    },
  };
  const input = many ? h("textarea", { ...look, rows: 3 }) : h("input", { ...look, type: "text" });
  let typed = false; // a text that was emptied by hand is an empty text, not none

  function grow() {
    // Browsers without `field-sizing: content` are helped.
    if (!many || CSS.supports("field-sizing", "content")) return;
    input.style.setProperty("height", "auto");
    input.style.setProperty("height", `${input.scrollHeight + 2}px`);
  }

  return {
    element: input,
    input,
    wide: true,
    hint: schema["maxLength"] ? `at most ${schema["maxLength"]} characters` : "",
    value() {
      if (input.value !== "") return input.value;
      if (schema["default"] === null || (required && !typed)) return undefined;
      return required && schema["minLength"] ? undefined : "";
    },
    put(value) {
      typed = false;
      input.value = value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
      grow();
    },
  };
}
