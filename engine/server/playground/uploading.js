// Sends one file and tells how far it is, which fetch can't.

import { token, upload } from "./api.js";
import { parseExact } from "./exact.js";

/** @typedef {import("./api.js").Upload} Upload */

/**
 * @param {File} file
 * @param {(fraction: number) => void} onProgress from 0 to 1
 * @param {AbortSignal} signal
 * @returns {Promise<Upload | undefined>}
 * @throws {import("./api.js").ApiError} it was refused
 */
export async function uploadFile(file, onProgress, signal) {
  const answer = await sent(file, onProgress, signal);
  if (answer) return answer[0];
  // Once more in the plain way, which asks for the token and tells what was refused.
  return signal.aborted ? undefined : (await upload([file]))[0];
}

/**
 * @param {File} file
 * @param {(fraction: number) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<Upload[] | null>} null where it went wrong
 */
function sent(file, onProgress, signal) {
  const form = new FormData();
  form.append("file", file, file.name);
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/files");
    if (token()) request.setRequestHeader("Authorization", `Bearer ${token()}`);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onloadend = () => {
      try {
        resolve(request.status < 300 ? parseExact(request.responseText).files : null);
      } catch {
        resolve(null);
      }
    };
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}
