/* /credits/sync: switch Cloud Sync on and off, and choose its interval. */

import { change, read } from "./api.js";
import { $, credits, day, only, show, text } from "./dom.js";
import { announce, confirmed } from "./notices.js";
import { onPress, part, start } from "./shell.js";

const MONTHS = { monthly: 1, quarterly: 3, yearly: 12 };
let status = null;

start(async () => {
  only($("#sync"), "unknown");
  onPress($("#plan"), save);
  onPress($("#deactivate"), deactivate);
  await Promise.all([part($("#sync"), refresh), part($("#plan fieldset"), prices), part($("#yours"), showBalance)]);
});

async function prices() {
  const { operationCosts } = await read("credits/pricing", { open: true });
  for (const [interval, months] of Object.entries(MONTHS)) {
    show($("#plan"), { [interval]: credits(Math.round(operationCosts.cloud_sync * months * 1e4) / 1e4) });
  }
}

async function showBalance() {
  const { balance } = await read("credits/balance");
  show($("#yours"), { balance: credits(balance) });
}

async function refresh() {
  status = await read("sync/status");
  only($("#sync"), state());
  show($("#sync"), { next: status.nextChargeAt && day(status.nextChargeAt) });
  $(`#plan [value=${status.interval}]`).checked = true;
  $("#sync").ariaBusy = "false";
}

function state() {
  if (status.gifted) return "gifted";
  if (status.active) return "on";
  return status.pausedAt ? "paused" : "off";
}

async function save() {
  const { interval } = Object.fromEntries(new FormData($("#plan")));
  await (status.active ? changeInterval(interval) : activate(interval)).catch(showCurrent);
  await Promise.all([part($("#sync"), refresh), part($("#yours"), showBalance)]);
}

/** Show the current state if another tab has changed it. */
async function showCurrent(refusal) {
  if (refusal.code?.startsWith("sync_")) await part($("#sync"), refresh);
  throw refusal;
}

async function activate(interval) {
  const { amountCharged } = await change("POST", "sync/activate", { interval });
  announce(amountCharged ? text("charged", { amount: credits(amountCharged) }) : text("activated"));
}

async function changeInterval(interval) {
  const answer = await change("POST", "sync/change-interval", { interval });
  announce(text("changed", { day: day(answer.effectiveAt), amount: credits(answer.amountCharged) }));
}

async function deactivate() {
  const asked = { question: text("question"), consequence: text("consequence"), yes: text("yes") };
  if (!(await confirmed(asked))) return;
  await change("POST", "sync/deactivate").catch(showCurrent);
  announce(text("deactivated"));
  await part($("#sync"), refresh);
}
