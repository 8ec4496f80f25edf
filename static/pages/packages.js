/* What can be bought, buying it at Stripe's Checkout, and what became of it. */

import { change, page, read } from "./api.js";
import { $, credits, day, made, number, only, price, show, text } from "./dom.js";
import { leave, onPress } from "./shell.js";

const SETTLED = ["completed", "processing", "failed", "cancelled"];
const LOOKS = 30;
const LOOK_EVERY = 1000;

export async function packages() {
  const back = cameBack();
  await Promise.all([offer(), listPurchases()]);
  if (back === "paid") await watch();
  if (back === "cancelled") tell("cancelled");
}

async function offer() {
  $("#package-list").ariaBusy = "true";
  const offered = await read("credits/packages", { open: true });
  $("#package-list").replaceChildren(...offered.map(card));
  $("#package-list").ariaBusy = "false";
  $("#no-packages").hidden = offered.length > 0;
}

function card(one) {
  const node = made("package", {
    name: one.name,
    credits: number(one.credits),
    description: one.description,
    price: price(one.priceEuroCents),
    each: text("each", { price: price((one.priceEuroCents / one.credits) * 100) }),
    which: ` ${one.name}`,
  });
  onPress($("button", node), () => buy(one));
  return node;
}

async function buy({ id }) {
  const here = `${location.origin}/credits`;
  const { checkoutUrl } = await change("POST", "credits/purchase", {
    packageId: id,
    successUrl: `${here}?checkout=paid#packages`,
    cancelUrl: `${here}?checkout=cancelled#packages`,
  });
  return leave(checkoutUrl);
}

/** Return how the buyer came back from Stripe, once: a reload is no second return. */
function cameBack() {
  const address = new URL(location);
  const how = address.searchParams.get("checkout");
  address.searchParams.delete("checkout");
  if (how) history.replaceState(null, "", address);
  return how;
}

/** Look at the newest purchase until Stripe has told what became of it. */
async function watch() {
  const { rows: [newest] } = await page("credits/purchases", { limit: 1 });
  if (!newest) return;
  let purchase = newest;
  tell("waiting");
  for (let look = 0; look < LOOKS && !isSettled(purchase); look += 1) {
    await new Promise((on) => setTimeout(on, LOOK_EVERY));
    purchase = await read(`credits/purchase/${purchase.id}`);
  }
  tell(shownStatus(purchase), { arrived: credits(purchase.credits) });
  if (purchase.status === "completed") dispatchEvent(new Event("balance-moved"));
  await listPurchases();
}

function isSettled(purchase) {
  return SETTLED.includes(purchase.status) || purchase.underReview;
}

/** Return the status in a buyer's words: an unpaid purchase under review is not just unpaid. */
function shownStatus({ status, underReview, completedAt }) {
  return underReview && !completedAt ? "review" : status;
}

function tell(state, values = {}) {
  const notice = $("#bought");
  show(notice, values);
  only(notice, state);
  notice.className = `notice ${{ completed: "good", failed: "bad" }[state] ?? ""}`;
  notice.hidden = false;
}

async function listPurchases() {
  const { rows } = await page("credits/purchases", { limit: 10 });
  $("#purchases").replaceChildren(...rows.map(line));
  $("#purchases-panel").hidden = rows.length === 0;
}

function line(one) {
  const node = made("entry", {
    title: credits(one.credits),
    context: day(one.createdAt),
    amount: price(one.priceEuroCents),
    after: text(`status-${shownStatus(one)}`) ?? one.status,
  });
  $(".what small", node).append(...papers(one));
  node.classList.add(one.status === "completed" ? "in" : "open");
  return node;
}

/** Return links to what Stripe made out for a purchase: its receipt, its invoice. */
function papers({ receiptUrl, invoiceUrl }) {
  const named = { receipt: receiptUrl, invoice: invoiceUrl };
  return Object.entries(named).filter(([, url]) => url).flatMap(([name, url]) => {
    const link = made(`paper-${name}`);
    link.href = url;
    return [" ", link];
  });
}
