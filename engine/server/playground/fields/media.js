// A picture, a mask, a video, a sound or a file: dropped, pasted, chosen, or by its URL. It is sent at once; the payload
// holds the name that the server gave it.

import { fileUrl } from "../api.js";
import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { uploadFile } from "../uploading.js";
import { sizeWords } from "../words.js";
import { typeOf } from "./field.js";

const KINDS = /** @type {Record<string, {words: string, accept: string, begins: string}>} */ ({
  image: { words: "a picture", accept: "image/*", begins: "image/" },
  mask: { words: "a mask", accept: "image/*", begins: "image/" },
  video: { words: "a video", accept: "video/*,image/gif,image/webp", begins: "video/" },
  audio: { words: "a sound", accept: "audio/*", begins: "audio/" },
  file: { words: "a file", accept: "", begins: "" },
});

/** @type {(given: import("./field.js").Given) => import("./field.js").Control} */
export function media({ schema, label, changed, id }) {
  const type = typeOf(schema);
  const { words, accept, begins } = KINDS[type] ?? { words: "a file", accept: "", begins: "" };
  /** @type {any} */
  let value; // a text, or an object with its URL
  let typing = false;
  /** @type {AbortController | null} */
  let sending = null;
  /** @type {Promise<void> | null} */
  let busy = null;
  let local = "";

  const chooser = h("input", {
    id,
    type: "file",
    class: "sr",
    tabIndex: -1, // the button opens it
    "aria-label": `${label}: file`,
    accept,
    onchange: () => {
      const taken = take([...(chooser.files ?? [])]);
      chooser.value = "";
      if (taken) return;
      problem.textContent = `That is not ${words}.`;
      draw();
    },
  });
  const address = h("input", {
    class: "input",
    type: "text",
    inputmode: "url",
    spellcheck: false,
    autocomplete: "off",
    placeholder: "https://…",
    "aria-label": `${label}: URL`,
    oninput: () => {
      value = address.value.trim() || undefined;
      changed();
    },
  });
  const picture = h("div", { class: "preview" });
  const facts = h("p", { class: "small muted facts" });
  const bar = h("progress", { max: 1, value: 0, "aria-label": `${label}: sent so far` });
  const problem = h("p", { class: "problem", role: "alert" });
  const choose = h("button", { type: "button", class: "button small", onclick: () => chooser.click() }, icon("upload"), "Choose");
  const byUrl = h("button", { type: "button", class: "button small quiet", onclick: () => typeUrl() }, icon("link"), "From a URL");
  const remove = h("button", { type: "button", class: "button small quiet", "aria-label": `${label}: take away`, onclick: () => clear(true) }, icon("close"), "Take away");
  const hint = h("p", { class: "small muted" }, `Drop or paste ${words} here`);
  const element = h("div", { class: "drop" });
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", () => element.classList.remove("over")); // the form takes the files

  function draw() {
    const held = value !== undefined;
    element.classList.toggle("held", held || typing || Boolean(sending));
    const buttons = h("div", { class: "line" }, chooser, choose, typing || held || sending ? remove : byUrl);
    if (sending) fill(element, picture, h("div", { class: "grow" }, facts, bar, buttons));
    else if (typing) fill(element, h("div", { class: "grow" }, address, buttons));
    else if (held) fill(element, picture, h("div", { class: "grow" }, facts, buttons));
    else fill(element, hint, buttons, problem.textContent ? problem : null);
  }

  /** @param {boolean} byHand */
  function clear(byHand) {
    sending?.abort();
    sending = null;
    busy = null;
    if (local) URL.revokeObjectURL(local);
    local = "";
    value = undefined;
    typing = false;
    address.value = "";
    problem.textContent = "";
    fill(picture);
    fill(facts);
    draw();
    if (byHand) {
      told();
      choose.focus();
    }
  }

  function told() {
    element.dispatchEvent(new Event("change", { bubbles: true }));
    changed();
  }

  function typeUrl() {
    typing = true;
    draw();
    address.focus();
  }

  /**
   * @param {File[]} files
   * @returns {boolean}
   */
  function take(files) {
    const file = files.find((each) => each.type.startsWith(begins)) ?? (begins === "" || type === "video" ? files[0] : undefined);
    if (!file) return false;
    clear(false);
    local = URL.createObjectURL(file);
    show(local, file.type);
    const sender = new AbortController();
    sending = sender;
    bar.value = 0;
    fill(facts, h("span", { class: "name" }, file.name), ` ${sizeWords(file.size)}`);
    draw();
    busy = send(file, sender);
    return true;
  }

  /**
   * @param {File} file
   * @param {AbortController} sender
   */
  async function send(file, sender) {
    try {
      const sent = await uploadFile(file, (fraction) => (bar.value = fraction), sender.signal);
      if (sending !== sender || !sent) return;
      value = sent.name;
      const size = sent.width && sent.height ? `${sent.width} × ${sent.height}, ` : "";
      fill(facts, h("span", { class: "name" }, file.name), ` ${size}${sizeWords(sent.size_bytes)}`);
    } catch (error) {
      if (sending !== sender) return;
      clear(false);
      problem.textContent = error instanceof Error ? error.message : String(error);
    }
    sending = null;
    busy = null;
    draw();
    told();
  }

  /**
   * @param {string} url
   * @param {string} contentType
   */
  function show(url, contentType) {
    const [kind] = contentType.split("/");
    const alt = `${label}: as it will be sent`;
    /** @type {HTMLElement | null} */
    let shown = null;
    if (kind === "image") shown = h("img", { src: url, alt, onerror: () => fill(picture, icon("file")) });
    else if (kind === "video") shown = h("video", { src: url, controls: true, muted: true, "aria-label": alt });
    else if (kind === "audio") shown = h("audio", { src: url, controls: true, "aria-label": alt });
    fill(picture, shown ?? icon("file"));
  }

  draw();
  return {
    element,
    get input() {
      return typing && !sending ? address : choose;
    },
    group: true,
    wide: true,
    hint: boundsOf(schema),
    value: () => value,
    put(given) {
      clear(false);
      if (given === undefined || given === null || given === "") return;
      value = given;
      const text = typeof given === "string" ? given : String(given.url ?? "");
      const contentType = `${type === "mask" ? "image" : type}/*`;
      if (text.startsWith("data:")) {
        show(text, contentType);
        fill(facts, h("span", { class: "name" }, "Data in the payload"));
      } else if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text) && typeof given === "string") {
        typing = true;
        address.value = text;
      } else {
        fill(facts, h("span", { class: "name" }, text.length > 200 ? "Data in the payload" : text));
        fill(picture, icon("file"));
        if (typeof given === "string" && text.length <= 200) void preview(text, contentType);
      }
      draw();
    },
    take,
    busy: () => busy,
    close: () => clear(false),
  };

  /**
   * What was sent before is shown again, if the server still has it.
   *
   * @param {string} name
   * @param {string} contentType
   */
  async function preview(name, contentType) {
    try {
      const url = await fileUrl(`/files/${encodeURIComponent(name)}`);
      if (value === name) show(url, contentType);
    } catch {
      // Then its name is all there is to see; a run tells that the file is gone.
    }
  }
}

/** @param {import("./field.js").Schema} schema */
function boundsOf(schema) {
  const found = [];
  if (schema["x-min-side"]) found.push(`from ${schema["x-min-side"]} px`);
  if (schema["x-max-pixels"]) found.push(`up to ${(schema["x-max-pixels"] / 1e6).toFixed(1)} MP`);
  if (schema["x-aspect-ratio"]) found.push(schema["x-aspect-ratio"].join(" to "));
  return found.join(", ");
}
