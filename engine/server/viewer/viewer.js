// Fetches the document of the API, with the token where the server needs one, and hands it to Swagger UI.

/** @typedef {{components?: {securitySchemes?: Record<string, {type?: string, scheme?: string}>}}} Description */
/** @typedef {{preauthorizeApiKey(name: string, key: string): void}} Viewer */
/** @typedef {(options: Record<string, unknown>) => Viewer} Bundle */

const KEPT = "token"; // where the playground keeps it, too

const state = /** @type {HTMLElement} */ (document.getElementById("state"));
const asks = /** @type {HTMLFormElement} */ (document.getElementById("asks"));
const input = /** @type {HTMLInputElement} */ (document.getElementById("token"));

let token = kept(KEPT) ?? "";

/**
 * What the browser keeps under a name; null in one that keeps nothing.
 *
 * @param {string} name
 */
function kept(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Follow the theme that was chosen in the playground, or the system's. */
function followTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = kept("theme");
    document.documentElement.classList.toggle("dark-mode", chosen === "dark" || (chosen !== "light" && system.matches));
  };
  system.addEventListener("change", apply);
  addEventListener("storage", apply);
  apply();
}

// Swagger UI leaves these without a name that a screen reader could say.
const NAMES = {
  "#servers": "Server",
  ".examples-select-element": "Example",
  ".body-param__text": "Body of the request",
  ".servers input[data-variable]": "Value of a server variable",
};

/** Name what Swagger UI leaves without a name, and let the keyboard reach what scrolls, whenever it draws some. */
function mend() {
  const reference = /** @type {HTMLElement} */ (document.getElementById("reference"));
  new MutationObserver(() => {
    for (const [selector, name] of Object.entries(NAMES)) {
      for (const field of reference.querySelectorAll(`${selector}:not([aria-label])`)) field.setAttribute("aria-label", name);
    }
    for (const field of reference.querySelectorAll("[data-param-name] select:not([aria-label])")) {
      field.setAttribute("aria-label", field.closest("[data-param-name]")?.getAttribute("data-param-name") ?? "");
    }
    for (const text of reference.querySelectorAll("pre:not([tabindex])")) text.setAttribute("tabindex", "0");
  }).observe(reference, { childList: true, subtree: true });
}

/** Show the reference, or ask for the token first. */
async function load() {
  const headers = token ? { Authorization: `Bearer ${token}` } : undefined;
  const answer = await fetch("openapi.json", headers ? { headers } : {});
  if (answer.status === 401) {
    state.textContent = token ? "This token is not the server's." : "";
    asks.hidden = false;
    input.focus();
    return;
  }
  if (!answer.ok) throw new Error(`openapi.json: ${answer.status}`);
  show(await answer.json());
}

/** @param {Description} description */
function show(description) {
  asks.hidden = true;
  state.hidden = true;
  const bundle = /** @type {{SwaggerUIBundle: Bundle}} */ (/** @type {unknown} */ (window)).SwaggerUIBundle;
  const viewer = bundle({
    spec: description,
    dom_id: "#reference",
    defaultModelsExpandDepth: -1,
    displayRequestDuration: true,
    docExpansion: "list",
    syntaxHighlight: false, // its colours are too faint
    tryItOutEnabled: true,
    validatorUrl: null,
    onComplete: () => {
      const schemes = Object.entries(description.components?.securitySchemes ?? {});
      for (const [name, scheme] of schemes) {
        if (token && scheme.type === "http" && scheme.scheme === "bearer") viewer.preauthorizeApiKey(name, token);
      }
    },
  });
}

/** @param {unknown} error */
function fail(error) {
  state.hidden = false;
  state.textContent = `The reference can't be shown: ${error instanceof Error ? error.message : error}`;
}

asks.addEventListener("submit", (event) => {
  event.preventDefault();
  token = input.value.trim();
  try {
    localStorage.setItem(KEPT, token);
  } catch {
    // A browser that keeps nothing is asked again the next time.
  }
  load().catch(fail);
});
followTheme();
mend();
load().catch(fail);
