/* The form for a new gift, and the preview that its recipient will see. */

import { change, read } from "./api.js";
import { $, $$, credits, day, number, show, text } from "./dom.js";
import { forgetDraft, keepDraft } from "./drafts.js";
import { valid } from "./forms.js";
import { copy } from "./gift_lists.js";
import { now, person } from "./session.js";
import { onPress, part } from "./shell.js";

const DAY = 24 * 3600 * 1000;
// create() runs each time the tab is opened. The listeners must be added only once.
let listening = false;

export async function create() {
  if (!listening) listen();
  preview();
  await part($("#making > .panel"), showBalance);
}

function listen() {
  listening = true;
  const form = $("#new-gift");
  keepDraft(form);
  form.addEventListener("input", preview);
  onPress(form, give);
  onPress($("#ready .again"), again);
  onPress($("#ready .copy"), () => copy($("#ready [data-field=url]").href));
}

async function showBalance() {
  const { balance } = await read("credits/balance");
  show($("#new-gift"), { balance: credits(balance) });
}

function preview() {
  const { elements } = $("#new-gift");
  const personal = elements.type.value === "personalized";
  $("#to").hidden = !personal;
  elements.targetEmail.disabled = !personal;
  const { name } = person();
  const amount = Number(elements.totalCredits.value) || 0;
  const end = now() + Number(elements.expirationDays.value) * DAY;
  show($("#preview"), {
    headline: name ? text("headline", { name }) : text("headline-nobody"),
    amount: number(amount),
    unit: text(amount === 1 ? "credit" : "credits"),
    message: elements.message.value.trim(),
    until: text("until", { day: day(end) }),
  });
}

async function give() {
  const form = $("#new-gift");
  if (!valid(form)) return;
  const { type, targetEmail, totalCredits, message, expirationDays } = Object.fromEntries(new FormData(form));
  const made = await change("POST", "gifts", {
    type,
    targetEmail: targetEmail || null,
    totalCredits: Number(totalCredits),
    message: message.trim() || null,
    expirationDays: Number(expirationDays),
  });
  forgetDraft(form);
  await present(made);
}

async function present({ shortUrl: url, targetEmail: email }) {
  const panel = $("#ready");
  show(panel, { url, whom: email ? text("for-one", { email }) : text("for-anybody") });
  $("[data-field=url]", panel).href = url;
  $(".qr", panel).src = `${new URL(url).pathname}.svg`;
  $("#making").hidden = true;
  panel.hidden = false;
  // The pressed button is hidden now. Without this, the focus of keyboards and screen readers is
  // lost.
  panel.focus();
}

async function again() {
  $("#new-gift").reset();
  for (const field of $$("[aria-invalid]", $("#new-gift"))) field.removeAttribute("aria-invalid");
  $("#ready").hidden = true;
  $("#making").hidden = false;
  await create();
}
