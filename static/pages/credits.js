/* /credits: the balance, and a tab each for overview, transactions, packages and costs. */

import { read } from "./api.js";
import { $, credits, made, moment, number, show, text } from "./dom.js";
import { costs } from "./costs.js";
import { overview } from "./overview.js";
import { packages } from "./packages.js";
import { part, start, tabs } from "./shell.js";
import { transactions } from "./transactions.js";

let balance = null;
let lowBalance = null;

start(async () => {
  const showBalance = () => part($("#balance"), refresh);
  addEventListener("balance-moved", showBalance);
  await Promise.all([
    showBalance(),
    part($("#low"), readNotice),
    tabs({ overview, transactions, packages, costs }),
  ]);
});

async function refresh() {
  balance = await read("credits/balance");
  const { expiring, ...figures } = balance;
  const shown = Object.entries(figures).map(([name, value]) => [name, number(value)]);
  const unit = text(balance.balance === 1 ? "credit" : "credits");
  show($("#balance"), { ...Object.fromEntries(shown), unit });
  $("#balance .figure").style.setProperty("--digits", number(balance.balance).length);
  $("#balance").classList.remove("loading");
  $("#expiring").replaceChildren(...expiring.map(lot));
  $("#expiring-panel").hidden = expiring.length === 0;
  showNotice();
}

function lot({ amount, at }) {
  const until = text("expiring-until", { moment: moment(at) });
  return made("expiring-credits", { until, amount: credits(amount) });
}

async function readNotice() {
  ({ lowBalance } = await read("credits/settings"));
  showNotice();
}

/** Show the low-balance notice that the user asked for. Held credits count: they may come back. */
function showNotice() {
  if (balance === null || lowBalance === null) return;
  const notice = $("#low [role=status]");
  // The service sends its notice by the balance without regard to holds, so the page shows it by
  // the same one. Sums of doubles are rounded to the credits' four decimals.
  const posted = Math.round((balance.balance + balance.held) * 1e4) / 1e4;
  show(notice, { low: text("low", { amount: credits(lowBalance) }) });
  notice.hidden = posted > lowBalance;
}
