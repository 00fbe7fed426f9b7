// Asks for the token of a server that needs one.

import { h, uniqueId } from "./dom.js";

/**
 * @param {{wrong: boolean}} asked whether the server has refused the one it was sent
 * @returns {Promise<string | null>} the token; null of who gave up
 */
export function askForToken({ wrong }) {
  const id = uniqueId("token");
  const input = h("input", { class: "input", id, type: "password", autocomplete: "current-password", required: true, spellcheck: false });
  const dialog = h(
    "dialog",
    { "aria-labelledby": `${id}-title` },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: `${id}-title` }, "This server needs a token"),
      h("p", { class: "muted" }, "It is the text in the server's API_TOKEN. This browser keeps it."),
      wrong && h("p", { class: "notice bad", role: "alert" }, "The one that was sent is not the server's."),
      h("label", { for: id }, "Token"),
      input,
      h(
        "div",
        { class: "line" },
        h("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Not now"),
        h("button", { class: "button primary", value: "token" }, "Continue"),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "token" && input.value ? input.value.trim() : null);
    });
  });
}
