/* The overview: the usage of each app as bars, and the latest transactions. */

import { page, read } from "./api.js";
import { $, appName, credits, found, made, moment, text } from "./dom.js";
import { lines, waiting } from "./entries.js";
import { now } from "./session.js";
import { part } from "./shell.js";
import { drawUsage } from "./usage_chart.js";

const LATEST = 5;
const DAY = 24 * 3600 * 1000;

export async function overview() {
  const showSpending = () => part($("#spending-panel"), spending);
  $("#span").onchange = showSpending;
  $("#latest").replaceChildren(...waiting(LATEST));
  await Promise.all([showSpending(), part($("#held-panel"), held), part($("#latest-panel"), latest)]);
}

async function spending() {
  const first = new Date(now() - (Number($("#span").value) - 1) * DAY);
  const from = first.toISOString().slice(0, 10);
  const rows = await read(`credits/usage?from=${from}`);
  const apps = byApp(rows);
  const most = Math.max(...apps.map(([, spent]) => spent));
  $("#spending").replaceChildren(...apps.map(([app, spent]) => bar(app, spent, spent / most)));
  $("#no-spending").hidden = apps.length > 0;
  drawUsage(rows, from, apps.map(([app]) => app));
}

function byApp(rows) {
  const sums = new Map();
  for (const { appId, creditsUsed } of rows) sums.set(appId, (sums.get(appId) ?? 0) + creditsUsed);
  const exact = [...sums].map(([app, sum]) => [app, Math.round(sum * 10_000) / 10_000]);
  return exact.filter(([, sum]) => sum > 0).sort(([, one], [, other]) => other - one);
}

function bar(app, spent, share) {
  const node = made("bar", { app: appName(app), spent: credits(spent) });
  $(".bar", node).style.width = `${Math.max(share * 100, 1)}%`;
  return node;
}

/** Show the open reservations and when they expire; nothing if there are none. */
async function held() {
  const rows = await read("credits/reservations");
  $("#held").replaceChildren(...rows.map(hold));
  $("#held-panel").hidden = rows.length === 0;
}

function hold({ amount, appId, reason, operation, expiresAt }) {
  return made("hold", {
    title: (operation && found("operation", operation, "operations")?.textContent) || reason,
    app: appName(appId),
    until: text("held-until", { moment: moment(expiresAt) }),
    amount: credits(amount),
  });
}

async function latest() {
  const { rows } = await page("credits/transactions", { limit: LATEST });
  $("#latest").replaceChildren(...lines(rows));
  $("#no-latest").hidden = rows.length > 0;
}
