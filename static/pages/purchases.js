/* The list of purchases, and the outcome of the one that was just paid. */

import { change, read } from "./api.js";
import { $, credits, only, show, text } from "./dom.js";
import { announce, confirmed } from "./notices.js";
import { actAndReload, fillList } from "./paged_list.js";
import { isPayable, purchaseLine, shownStatus } from "./purchase_lines.js";
import { onPress, part } from "./shell.js";

const ROWS = 10;
const LOOKS = 30;
const LOOK_EVERY = 1000;
// A declined attempt is not final: Stripe returns a buyer only after a later one succeeded.
const SETTLED = ["processing", "cancelled", "completed", "partially_refunded", "refunded", "disputed"];

/** Return how the buyer returned from Stripe, and the purchase in the URL. */
export function cameBack() {
  const { searchParams } = new URL(location);
  return { how: searchParams.get("checkout"), id: searchParams.get("purchase") };
}

/** Poll the purchase until Stripe has reported its outcome, then remove the return from the URL. */
export async function watch({ how, id }) {
  if (how === "cancelled") tell("cancelled");
  else if (how === "paid" && id) await look(id);
  forgetReturn();
}

async function look(id) {
  const path = `credits/purchase/${encodeURIComponent(id)}`;
  let purchase = await read(path);
  tell("waiting");
  for (let looks = 0; looks < LOOKS && !isSettled(purchase); looks += 1) {
    await new Promise((on) => setTimeout(on, LOOK_EVERY));
    purchase = await read(path).catch(() => purchase);
  }
  tell(shownStatus(purchase), { arrived: credits(purchase.credits) });
  if (purchase.completedAt) dispatchEvent(new Event("balance-moved"));
  await part($("#purchases-panel"), list);
}

function forgetReturn() {
  const address = new URL(location);
  address.searchParams.delete("checkout");
  address.searchParams.delete("purchase");
  if (address.href !== location.href) history.replaceState(null, "", address);
}

function isSettled(purchase) {
  return SETTLED.includes(purchase.status) || purchase.underReview;
}

function tell(state, values = {}) {
  const notice = $("#bought");
  show(notice, values);
  only(notice, state);
  notice.className = `notice ${{ completed: "good", failed: "bad" }[state] ?? ""}`;
  notice.hidden = false;
}

/** Show the newest purchases, and the older ones on demand. */
export function list() {
  return fillList({
    path: "credits/purchases",
    limit: ROWS,
    place: $("#purchases"),
    more: $("#more-purchases"),
    empty: $("#no-purchases"),
    line,
  });
}

function line(one) {
  const node = purchaseLine(one);
  const resume = $(".resume", node);
  if (isPayable(one)) resume.href = one.checkoutUrl;
  else resume.remove();
  if (one.cancellable) onPress($(".cancel", node), () => cancel(one));
  else $(".doings", node).remove();
  return node;
}

async function cancel({ id }) {
  const asked = { question: text("cancel-purchase"), consequence: text("cancel-consequence"), yes: text("cancel-yes") };
  if (!(await confirmed(asked))) return;
  await actAndReload(async () => {
    await change("POST", `credits/purchase/${id}/cancel`, {});
    announce(text("purchase-cancelled"));
  }, $("#purchases-panel"), list);
  $("#purchases").focus();
}
