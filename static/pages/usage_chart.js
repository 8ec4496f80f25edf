/* Usage over time: a column per UTC day, stacked by app, and a table with the same numbers. */

import { $, appName, credits, made, number, show, text, utcDay } from "./dom.js";
import { now } from "./session.js";

const DAY = 24 * 3600 * 1000;
const COLOURS = 5; // the last one is for all further apps

/** Draw the rows of `credits/usage` for all days since `first`; `apps` is sorted by their sums. */
export function drawUsage(rows, first, apps) {
  const days = byDay(rows, first);
  const most = Math.max(...days.map(({ sum }) => sum));
  const place = $("#usage");
  place.hidden = !(most > 0);
  $(".columns", place).replaceChildren(...days.map((day) => column(day, most, apps)));
  $(".legend", place).replaceChildren(...legend(apps));
  show(place, {
    first: utcDay(days[0].date),
    last: utcDay(days.at(-1).date),
    most: text("most-in-a-day", { amount: credits(rounded(most)) }),
  });
  $("tbody", place).replaceChildren(...rows.filter(isUsed).map(tableRow));
}

function byDay(rows, first) {
  const days = [];
  for (let at = Date.parse(first); at <= now(); at += DAY) {
    const date = new Date(at).toISOString().slice(0, 10);
    const used = rows.filter((row) => row.date === date && isUsed(row));
    days.push({ date, used, sum: used.reduce((sum, { creditsUsed }) => sum + creditsUsed, 0) });
  }
  return days;
}

function column({ date, used, sum }, most, apps) {
  const node = made("column");
  node.title = `${utcDay(date)}: ${credits(rounded(sum))}`;
  // Pieces of one app have the same place in every column, as in the legend.
  const order = ({ appId }) => colourOf(appId, apps);
  for (const { appId, creditsUsed } of [...used].sort((one, other) => order(other) - order(one))) {
    const piece = made("piece");
    piece.dataset.colour = colourOf(appId, apps);
    piece.style.height = `${(creditsUsed / most) * 100}%`;
    node.append(piece);
  }
  return node;
}

function legend(apps) {
  return apps.slice(0, COLOURS).map((app, index) => {
    const last = index === COLOURS - 1 && apps.length > COLOURS;
    const node = made("legend-entry", { app: last ? text("other-apps") : appName(app) });
    $(".piece", node).dataset.colour = index;
    return node;
  });
}

function colourOf(app, apps) {
  return Math.min(apps.indexOf(app), COLOURS - 1);
}

function tableRow({ date, appId, creditsUsed }) {
  return made("usage-row", { day: utcDay(date), app: appName(appId), used: number(creditsUsed) });
}

function isUsed({ creditsUsed }) {
  return creditsUsed > 0;
}

function rounded(sum) {
  return Math.round(sum * 10_000) / 10_000;
}
