/* Drafts: typed text survives a reload and the end of a session, for the same person. */

import { person } from "./session.js";
import { drop, recall, store } from "./store.js";

/**
 * Fill in what this person typed into the form before, and store what they type from now on. A form
 * with fields that come and go says itself what was `typed`, and how to `restore` it. A form that
 * needs no session has the `owner` null.
 */
export function keepDraft(form, {
  owner = person().sub,
  typed = () => valuesOf(form),
  restore = (values) => fill(form, values),
} = {}) {
  const draft = JSON.parse(recall(form.id) ?? "{}");
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
