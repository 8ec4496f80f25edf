/* Forms that show the error beside each field, in the page's language. */

import { $, $$, only } from "./dom.js";
import { once } from "./shell.js";

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

/**
 * Show that the saved settings changed after the form was filled, with the `lines` that differ.
 * Return whether the refusal says so. The typed values stay: sending the form again overwrites the
 * saved settings, and the notice's button calls `take`, which loads them.
 */
export function showChanged(form, { code, details }, { lines, take }) {
  if (code !== "settings_changed") return false;
  const notice = $(".changed", form);
  form.elements.version.value = details.version;
  $("ul", notice).replaceChildren(...lines(details.current).map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  }));
  $("button", notice).onclick = ({ currentTarget }) => once(currentTarget, take);
  notice.hidden = false;
  notice.focus();
  return true;
}

export function forgetChanged(form) {
  $(".changed", form).hidden = true;
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
