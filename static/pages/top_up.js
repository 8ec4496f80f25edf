/* The automatic top-up: the card is saved at Stripe, then the user agrees to the terms. */

import { change, read } from "./api.js";
import { $, counted, credits, localized, moment, only, price, show, text } from "./dom.js";
import { forgetDraft, keepDraft } from "./drafts.js";
import { forgetChanged, showChanged, showRefused, valid } from "./forms.js";
import { announce, confirmed } from "./notices.js";
import { purchaseLine } from "./purchase_lines.js";
import { now } from "./session.js";
import { leave, onPress, part } from "./shell.js";

const LISTED = 20; // the API lists no more automatic purchases
const BRANDS = {
  amex: "American Express",
  cartes_bancaires: "Cartes Bancaires",
  diners: "Diners Club",
  discover: "Discover",
  jcb: "JCB",
  mastercard: "Mastercard",
  unionpay: "UnionPay",
  visa: "Visa",
};
const AGREED = ["credits", "priceEuroCents", "expiresAfterDays"];
let offers = null; // until they are loaded
let agreement = null;
let savedCard = null; // the Checkout Session in which a card was just saved

export async function topUp() {
  const answer = await read("credits/auto-top-up");
  comeBack();
  showTopUp(answer);
  onPress($("#agreement"), submit);
  onPress($("#other-card"), saveCard);
  onPress($("#switch-off"), switchOff);
  await part($("#terms-form"), offerTerms);
  $("#agreement").hidden = false;
}

/** Offer the packages. Without them the agreement is still shown and can be switched off. */
async function offerTerms() {
  offers = await read("credits/packages", { open: true });
  const form = $("#agreement");
  form.elements.packageId.append(...offers.map((one) => new Option(offer(one), one.id)));
  tellGone();
  fill(agreement);
  keepDraft(form);
  showConsent();
  form.addEventListener("input", showConsent);
}

function offer(one, name = "name") {
  const { credits: amount, priceEuroCents, expiresAfterDays: n } = one;
  const said = { name: localized(one, name), amount: credits(amount), price: price(priceEuroCents) };
  return n ? counted("offer-expiring", n, said) : text("offer", said);
}

/** Read how the user came back from Stripe; a saved card stays in the address until it is used. */
function comeBack() {
  const card = new URL(location).searchParams.get("card");
  savedCard = card === "cancelled" ? null : card;
  $("#card-saved").hidden = !savedCard;
  $("#card-not-saved").hidden = card !== "cancelled";
  if (card === "cancelled") forgetCard();
  if (card) $("#top-up").focus();
}

function forgetCard() {
  savedCard = null;
  const address = new URL(location);
  address.searchParams.delete("card");
  history.replaceState(null, "", address);
}

function showTopUp(answer) {
  agreement = answer.agreement;
  tellGone();
  $("#agreement").elements.version.value = answer.version;
  forgetChanged($("#agreement"));
  const place = $("#top-up");
  only(place, state());
  if (agreement) show(place, terms(answer));
  const lines = answer.purchases.map(boughtLine);
  $("#history").replaceChildren(...lines);
  $("#no-history").hidden = lines.length > 0;
  place.ariaBusy = "false";
}

/** Tell early that the next top-up will pause, because the package is not offered as agreed. */
function tellGone() {
  const isSame = (one) => one.id === agreement.packageId && AGREED.every((name) => one[name] === agreement[name]);
  $("#offer-gone").hidden = !offers || !agreement || Boolean(agreement.pausedAt) || offers.some(isSame);
}

/** Return an automatic purchase as a line. */
function boughtLine(one) {
  const line = purchaseLine(one);
  $(".doings", line).remove();
  return line;
}

function state() {
  if (agreement) return agreement.pausedAt ? "paused" : "on";
  return savedCard ? "ready" : "new";
}

function terms({ purchases }) {
  const { pausedAt, pauseReason, agreedAt, threshold } = agreement;
  return {
    agreed: moment(agreedAt),
    package: offer(agreement, "packageName"),
    card: card(agreement),
    threshold: credits(threshold),
    maximum: bought(purchases),
    why: pauseReason && text(`pause-${pauseReason}`),
    since: pausedAt && text("since", { moment: moment(pausedAt) }),
  };
}

/** Return the brand and the last digits of the saved card. */
function card({ cardBrand, cardLast4 }) {
  const brand = BRANDS[cardBrand] ?? text("card");
  return cardLast4 ? text("card-ending", { brand, digits: cardLast4 }) : brand;
}

/** Return how many purchases of this UTC month there are, as far as the list says it. */
function bought(purchases) {
  const month = new Date(now()).toISOString().slice(0, 7);
  const ofMonth = purchases.filter(({ createdAt }) => createdAt.startsWith(month));
  const counted = ofMonth.filter(({ status }) => !["failed", "cancelled"].includes(status));
  const maximum = agreement.monthlyMaximum;
  if (ofMonth.length === LISTED) return text("at-most", { maximum });
  return text("bought-of", { n: counted.length, maximum });
}

function fill(terms) {
  if (!terms) return;
  const { packageId, threshold, monthlyMaximum } = $("#agreement").elements;
  packageId.value = offers.some(({ id }) => id === terms.packageId) ? terms.packageId : "";
  threshold.value = terms.threshold;
  monthlyMaximum.value = terms.monthlyMaximum;
}

/** Show what the user agrees to, as soon as all of it is typed. */
function showConsent() {
  const { packageId, threshold, monthlyMaximum } = $("#agreement").elements;
  const chosen = offers.find(({ id }) => id === packageId.value);
  const isWhole = chosen && [threshold, monthlyMaximum].every(({ validity }) => validity.valid);
  $("#consent").hidden = !isWhole;
  $("#too-small").hidden = !isWhole || chosen.credits > Number(threshold.value);
  if (!isWhole) return;
  const maximum = Number(monthlyMaximum.value);
  const limit = credits(Number(threshold.value));
  $("#consent").textContent = counted("consent", maximum, {
    name: localized(chosen, "name"),
    price: price(chosen.priceEuroCents),
    threshold: limit,
    most: price(chosen.priceEuroCents * maximum),
  });
  $("#too-small").textContent = text("too-small", { amount: credits(chosen.credits), threshold: limit });
}

async function submit() {
  if (!valid($("#agreement"))) return;
  await (state() === "new" ? saveCard() : agree());
}

async function saveCard() {
  const back = (card) => `${location.origin}/credits/settings?card=${card}`;
  const { checkoutUrl } = await change("POST", "credits/auto-top-up/setup", {
    successUrl: back("{CHECKOUT_SESSION_ID}"),
    cancelUrl: back("cancelled"),
  });
  return leave(checkoutUrl);
}

async function agree() {
  const form = $("#agreement");
  const { packageId, threshold, monthlyMaximum, version } = Object.fromEntries(new FormData(form));
  const terms = { packageId, threshold: Number(threshold), monthlyMaximum: Number(monthlyMaximum) };
  try {
    const wanted = { ...terms, version, checkoutSessionId: savedCard };
    settled(await change("PUT", "credits/auto-top-up", wanted), "top-up-on");
  } catch (refusal) {
    const isStale = showChanged(form, refusal, { lines: difference, take: takeOver });
    if (!isStale && !showRefused(form, refusal)) throw refusal;
  }
}

async function takeOver() {
  const answer = await read("credits/auto-top-up");
  forgetDraft($("#agreement"));
  showTopUp(answer);
  fill(agreement);
  showConsent();
  $("#top-up").focus();
}

/** Return the saved terms, one per line. */
function difference({ on, packageId, threshold, monthlyMaximum, pauseReason }) {
  if (!on) return [text("top-up-off")];
  const chosen = offers.find(({ id }) => id === packageId);
  const { labels: [below] } = $("#threshold");
  const { labels: [most] } = $("#monthlyMaximum");
  return [
    chosen && offer(chosen),
    text("saved-there", { name: below.textContent, value: credits(threshold) }),
    text("saved-there", { name: most.textContent, value: monthlyMaximum }),
    pauseReason && text(`pause-${pauseReason}`),
  ].filter(Boolean);
}

async function switchOff() {
  const asked = { question: text("off-question"), consequence: text("off-consequence"), yes: text("off-yes") };
  if (!(await confirmed(asked))) return;
  settled(await change("DELETE", "credits/auto-top-up"), "top-up-off");
}

function settled(answer, news) {
  forgetDraft($("#agreement"));
  forgetCard();
  $("#card-saved").hidden = $("#card-not-saved").hidden = true;
  showTopUp(answer);
  $("#top-up").focus();
  announce(text(news));
}
