// Values on their way from a job of the past to the form of its workflow, on another page.

/** @type {{workflow: string, payload: Record<string, any>} | null} */
let pending = null;

/** Open a workflow's page with these values. @param {string} workflow @param {Record<string, any>} payload */
export function openWith(workflow, payload) {
  pending = { workflow, payload };
  location.hash = `#/workflows/${encodeURIComponent(workflow)}`;
}

/** The values that wait for a workflow's form, once; null without any. @param {string} workflow */
export function takePending(workflow) {
  const found = pending?.workflow === workflow ? pending.payload : null;
  pending = null;
  return found;
}
