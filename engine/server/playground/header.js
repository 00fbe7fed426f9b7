// The line at the top: where one is, which ComfyUI answers, light or dark.

import { onReachable, request } from "./api.js";
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";

const LOOK_EVERY = 5000;

const THEMES = /** @type {const} */ ({
  system: { next: "light", words: "Theme: as the system", picture: "system" },
  light: { next: "dark", words: "Theme: light", picture: "sun" },
  dark: { next: "system", words: "Theme: dark", picture: "moon" },
});

/** @typedef {keyof typeof THEMES} Theme */

/** @returns {{element: HTMLElement, show: (hash: string) => void}} `show` marks the page that is shown */
export function createHeader() {
  const links = [
    h("a", { href: "#/" }, "Workflows"),
    h("a", { href: "#/history" }, "History"),
    h("a", { href: "docs" }, "API"),
  ];
  const server = h("span", { class: "pill", hidden: true });
  const element = h(
    "header",
    { class: "top", id: "top" },
    h(
      "div",
      { class: "top-row" },
      h("a", { class: "brand", href: "#/", "aria-label": "Workflows, first page" }, h("img", { src: "assets/icon.svg", alt: "" }), h("span", null, "ComfyUI workflows")),
      h("nav", { "aria-label": "Pages" }, links),
      h("span", { class: "grow" }),
      server,
      themeButton(),
    ),
  );
  void tell(server);
  onReachable(() => void tell(server));
  return {
    element,
    show(hash) {
      const current = hash.startsWith("#/history") || hash.startsWith("#/jobs") || hash.startsWith("#/compare") ? 1 : 0;
      links.forEach((link, index) => (index === current ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current")));
    },
  };
}

/** @param {HTMLElement} pill */
async function tell(pill) {
  let [tone, words, title] = ["bad", "No answer", ""];
  try {
    const { comfyui, simulated } = await request("GET", "/server");
    if (simulated) [tone, words, title] = ["warn", "Simulator", "Pictures come from the simulator. Set COMFY_URL or COMFY_HOME for real ones."];
    else [tone, words] = ["good", comfyui ? `ComfyUI ${comfyui}` : ""];
    // It may still be starting, or wait for the token.
    if (!words) setTimeout(() => void tell(pill), LOOK_EVERY);
  } catch {
    // It is told of again once it answers.
  }
  pill.hidden = !words;
  pill.className = `pill ${tone}`;
  pill.title = title;
  pill.textContent = words;
}

function themeButton() {
  const button = h("button", { class: "icon-button", type: "button" });
  /** @param {Theme} theme */
  const put = (theme) => {
    const { next, words, picture } = THEMES[theme];
    fill(button, icon(picture));
    button.title = words;
    button.setAttribute("aria-label", `${words}. Change to ${next === "system" ? "the system's" : next}`);
    if (theme === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
    button.onclick = () => {
      put(next);
      try {
        if (next === "system") localStorage.removeItem("theme");
        else localStorage.setItem("theme", next);
      } catch {
        // Then it holds until the page is left.
      }
    };
  };
  const now = document.documentElement.dataset["theme"];
  put(now === "light" || now === "dark" ? now : "system");
  return button;
}
