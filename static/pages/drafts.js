/* Drafts: typed text survives a reload and the end of a session, for the same person. */

import { person } from "./session.js";
import { drop, recall, store } from "./store.js";

/**
 * Fill the form with this person's draft, and store the values again at each input. A form whose
 * fields are added and removed passes `typed`, which reads its values, and `restore`, which sets them.
 * A form that needs no session passes null as `owner`.
 */
export function keepDraft(form, {
  owner = person().sub,
  typed = () => valuesOf(form),
  restore = (values) => fill(form, values),
} = {}) {
  const draft = JSON.parse(recall(form.id) ?? "{}");
  // Another person may have signed in at the same tab. Nobody sees the draft of somebody else.
  if (draft.owner === owner) restore(draft.values);
  else drop(form.id);
  form.addEventListener("input", () => store(form.id, JSON.stringify({ owner, values: typed() })));
}

/** Delete the draft of a form that was sent. */
export function forgetDraft(form) {
  drop(form.id);
}

function valuesOf(form) {
  return Object.fromEntries(new FormData(form));
}

function fill(form, values) {
  for (const [name, value] of Object.entries(values)) {
    const field = form.elements[name];
    if (field) field.value = value;
  }
}
