/* Forms that show the error beside each field, in the page's language. */

import { $, $$, only } from "./dom.js";

/** Return whether all fields are valid; show each error and focus the first invalid field. */
export function valid(form) {
  const fields = $$("input, textarea, select", form);
  for (const field of fields) mark(field);
  const wrong = fields.find((field) => !field.validity.valid);
  wrong?.focus();
  return !wrong;
}

function mark(field) {
  const problem = field.id && $(`#${field.id}-problem`);
  if (!problem) return;
  problem.hidden = field.validity.valid;
  only(problem, fault(field.validity));
  field.setAttribute("aria-invalid", String(!field.validity.valid));
  field.addEventListener("input", () => mark(field), { once: true });
}

/** Return the kind of error: too many decimals, or any other. */
function fault({ stepMismatch, rangeUnderflow, rangeOverflow }) {
  return stepMismatch && !rangeUnderflow && !rangeOverflow ? "precision" : "other";
}
