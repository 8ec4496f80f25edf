/* Forms that show the error beside each field, in the page's language. */

import { $, $$, only } from "./dom.js";

/** Return whether all fields are valid; show each error and focus the first invalid field. */
export function valid(form) {
  const fields = $$("input, textarea, select", form);
  for (const field of fields) showProblem(field);
  const wrong = fields.find((field) => !field.validity.valid);
  wrong?.focus();
  return !wrong;
}

/** Show beside the fields that the API names what is wrong; return whether it names any. */
export function showRefused(form, { details }) {
  const fields = Object.keys(details ?? {}).map((name) => form.elements[name]).filter((field) => field?.id);
  for (const field of fields) tell(field, { isValid: false, kind: "other" });
  fields[0]?.focus();
  return fields.length > 0;
}

/** Show beside a field what is wrong with it, or nothing. */
export function showProblem(field) {
  const { validity } = field;
  tell(field, { isValid: validity.valid, kind: fault(validity) });
}

function tell(field, { isValid, kind }) {
  const problem = field.id && $(`#${field.id}-problem`);
  if (!problem) return;
  problem.hidden = isValid;
  only(problem, kind);
  field.setAttribute("aria-invalid", String(!isValid));
  field.addEventListener("input", () => showProblem(field), { once: true });
}

/** Return the kind of error: too many decimals, or any other. */
function fault({ stepMismatch, rangeUnderflow, rangeOverflow }) {
  return stepMismatch && !rangeUnderflow && !rangeOverflow ? "precision" : "other";
}
