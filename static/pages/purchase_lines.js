/* A purchase as a line of a list: what was bought, its status and its papers. */

import { $, credits, day, localized, made, moment, price, text } from "./dom.js";
import { now } from "./session.js";

/** Return the status in a buyer's words: an unpaid purchase under review is not just unpaid. */
export function shownStatus({ status, underReview, completedAt, automatic }) {
  if (underReview && !completedAt) return "review";
  return automatic && status === "pending" ? "charging" : status; // it waits for no buyer
}

/** Return a purchase as a line of a list. */
export function purchaseLine(one) {
  const status = shownStatus(one);
  const node = made("purchase", {
    title: localized(one, "packageName"),
    amount: price(one.priceEuroCents),
    credits: credits(one.credits),
    status: text(`status-${status}`) ?? one.status,
    why: why(one, status),
    context: moment(one.createdAt),
    which: ` ${localized(one, "packageName")}, ${day(one.createdAt)}`,
  });
  $(".papers", node).append(...papers(one));
  node.classList.add(one.status === "completed" ? "in" : "open");
  return node;
}

/** Return why a purchase is not paid, and until when it can be; null for a paid one. */
function why(one, status) {
  if (status === "failed") return text(`why-${one.failureCode}`) ?? text("why-failed");
  if (status === "pending" && isPayable(one)) return text("payable", { moment: moment(one.payableUntil) });
  return text(`why-${status}`);
}

export function isPayable({ checkoutUrl, payableUntil }) {
  return Boolean(checkoutUrl) && Date.parse(payableUntil) > now();
}

/** Return links to what Stripe made out for a purchase: its receipt, its invoice. */
function papers({ receiptUrl, invoiceUrl }) {
  const named = { receipt: receiptUrl, invoice: invoiceUrl };
  return Object.entries(named).filter(([, url]) => url).map(([name, url]) => {
    const link = made(`paper-${name}`);
    link.href = url;
    return link;
  });
}
