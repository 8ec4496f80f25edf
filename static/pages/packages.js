/* The packages on offer, and their purchase at Stripe's Checkout. */

import { change, read } from "./api.js";
import { $, counted, localized, made, number, price, text } from "./dom.js";
import { cameBack, list, watch } from "./purchases.js";
import { leave, onPress, part } from "./shell.js";

export async function packages() {
  await Promise.all([
    part($("#offers"), offer),
    part($("#purchases-panel"), list),
    part($("#bought"), () => watch(cameBack())),
  ]);
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
    name: localized(one, "name"),
    credits: number(one.credits),
    description: localized(one, "description"),
    price: price(one.priceEuroCents),
    expiry: one.expiresAfterDays ? counted("package-expiry", one.expiresAfterDays) : "",
    each: text("each", { price: price((one.priceEuroCents / one.credits) * 100) }),
    which: ` ${localized(one, "name")}`,
  });
  $(".figure", node).style.setProperty("--digits", number(one.credits).length);
  onPress($("button", node), () => buy(one));
  return node;
}

async function buy({ id }) {
  const back = (how) => `${location.origin}/credits?checkout=${how}&purchase={PURCHASE_ID}#packages`;
  const { checkoutUrl } = await change("POST", "credits/purchase", {
    packageId: id,
    successUrl: back("paid"),
    cancelUrl: back("cancelled"),
  });
  return leave(checkoutUrl);
}
