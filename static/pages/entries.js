/* Transactions as lines of a list. */

import { appName, change, found, localized, made, moment, number, text } from "./dom.js";
import { explained } from "./metering.js";

/** Return the lines of these transactions. */
export function lines(transactions) {
  return transactions.map(line);
}

/** Return placeholder lines for a list that is loading. */
export function waiting(count) {
  return Array.from({ length: count }, () => {
    const node = made("entry", { title: "…", context: "…", units: null, amount: "…", after: "…" });
    node.classList.add("loading");
    node.setAttribute("aria-hidden", "true");
    return node;
  });
}

function line(one) {
  const ours = ourWords(one);
  const kind = ours || one.type === "usage" || !one.description ? null : text(one.type);
  const app = ["", "system", "gifts", "sync"].includes(one.appId) ? null : appName(one.appId);
  const node = made("entry", {
    title: ours ?? (one.description || text(one.type)),
    context: [kind, app, moment(one.createdAt)].filter(Boolean).join(" · "),
    units: explained(one.metering),
    amount: change(one.amount),
    after: text("balance-after", { n: number(one.balanceAfter) }),
  });
  node.classList.add(one.amount > 0 ? "in" : "out");
  return node;
}

/** Return a text of the service or the catalogue in the reader's language; null for other texts. */
export function ourWords({ description, metadata }) {
  const bought = /^Purchase of (.+)$/.exec(description ?? "");
  if (!bought) {
    const known = found("description", description, "texts") ?? found("name", description, "operations");
    return known?.textContent ?? null;
  }
  const packageNameDe = metadata?.packageNameDe;
  return text("bought", { name: localized({ packageName: bought[1], packageNameDe }, "packageName") });
}
