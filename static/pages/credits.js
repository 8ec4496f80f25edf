/* /credits: the balance, and a tab each for overview, transactions, packages and costs. */

import { read } from "./api.js";
import { $, number, show, text } from "./dom.js";
import { costs } from "./costs.js";
import { overview } from "./overview.js";
import { packages } from "./packages.js";
import { part, start, tabs } from "./shell.js";
import { transactions } from "./transactions.js";

start(async () => {
  const balance = () => part($("#balance"), showBalance);
  addEventListener("balance-moved", balance);
  await Promise.all([balance(), tabs({ overview, transactions, packages, costs })]);
});

async function showBalance() {
  const balance = await read("credits/balance");
  const shown = Object.entries(balance).map(([name, value]) => [name, number(value)]);
  const unit = text(balance.balance === 1 ? "credit" : "credits");
  show($("#balance"), { ...Object.fromEntries(shown), unit });
  $("#balance .figure").style.setProperty("--digits", number(balance.balance).length);
  $("#balance").classList.remove("loading");
}
