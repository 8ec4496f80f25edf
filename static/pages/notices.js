/* Notices: errors with what can be done, confirmations, and questions. */

import { $, filled, found, made, number, text } from "./dom.js";

const SECONDS_OF_GOOD_NEWS = 6;
let subject = null;

for (const event of ["scroll", "resize"]) addEventListener(event, stayClear, { passive: true });

/** Return a sentence (an element, perhaps with a link) for a Refusal. */
export function sentence(refusal) {
  const node = found("code", refusal.code, "refusals") ?? found("code", "unknown", "refusals");
  const details = Object.entries(refusal.details ?? {});
  const shown = details.map(([name, value]) => [name, typeof value === "number" ? number(value) : value]);
  filled(node, Object.fromEntries(shown));
  if (refusal.wait > 60) node.append(` ${text("minutes", { n: Math.ceil(refusal.wait / 60) })}`);
  else if (refusal.wait) node.append(` ${text("second")}`);
  return node;
}

/** Show an error until it is closed. Anything but a Refusal is a defect and is thrown again. */
export function complain(error) {
  tell(sentence(error), "bad");
  if (!error.code) throw error;
}

/** Show a confirmation for a few seconds. */
export function announce(words) {
  const node = document.createElement("p");
  node.textContent = words;
  const notice = tell(node, "good");
  setTimeout(() => notice.remove(), SECONDS_OF_GOOD_NEWS * 1000);
}

/** Remove the last notice before a new attempt with `button`. */
export function clear(button) {
  subject = button;
  $("#notices").replaceChildren();
}

/** Ask for a confirmation; return whether the answer is yes. */
export function confirmed({ question, consequence, yes }) {
  const dialog = $("#confirm");
  $("h2", dialog).textContent = question;
  $("p", dialog).textContent = consequence;
  $("[value=yes]", dialog).textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true });
  });
}

function tell(words, kind) {
  const notice = made("notice");
  notice.classList.add(kind);
  notice.setAttribute("role", kind === "bad" ? "alert" : "status");
  $("p", notice).replaceChildren(...words.childNodes);
  $("button", notice).addEventListener("click", () => notice.remove());
  $("#notices").replaceChildren(notice);
  stayClear();
  return notice;
}

/** Place the notice at the bottom of the window; at the top if it would cover its button. */
function stayClear() {
  const notices = $("#notices");
  // Measure at the bottom first: a notice that stays at the top would no longer cover the button.
  notices.classList.remove("top");
  const notice = notices.firstElementChild?.getBoundingClientRect();
  const button = subject?.getBoundingClientRect();
  if (!notice || !button) return;
  notices.classList.toggle("top", notice.top < button.bottom && button.top < notice.bottom);
}
