// Asks whether to do what can't be undone.

import { h, uniqueId } from "./dom.js";

/**
 * @param {string} title a question
 * @param {string} text what will happen
 * @param {string} yes what the button says that does it
 * @returns {Promise<boolean>}
 */
export function confirmed(title, text, yes) {
  const id = uniqueId("ask");
  const dialog = h(
    "dialog",
    { "aria-labelledby": id },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id }, title),
      h("p", { class: "muted" }, text),
      h(
        "div",
        { class: "line" },
        h("button", { class: "button", value: "" }, "Keep"),
        h("button", { class: "button danger", value: "yes" }, yes),
      ),
    ),
  );
  const end = () => dialog.close();
  window.addEventListener("hashchange", end);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      window.removeEventListener("hashchange", end);
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}
