/* The price list, by app. */

import { read } from "./api.js";
import { $, appName, counted, credits, found, localized, made, text } from "./dom.js";
import { priceByUnits } from "./metering.js";

let operations = null;

export async function costs() {
  operations ??= await read("credits/operations", { open: true });
  $("#category").onchange = list;
  list();
}

function list() {
  const wanted = $("#category input:checked").value;
  const shown = operations.filter(({ category }) => !wanted || category === wanted);
  const apps = grouped(shown);
  $("#cost-list").replaceChildren(...[...apps].map(([app, ofApp]) => group(app, ofApp)));
}

function grouped(rows) {
  const groups = new Map();
  for (const row of rows) groups.set(row.app, [...(groups.get(row.app) ?? []), row]);
  return groups;
}

function group(app, ofApp) {
  const node = made("cost-group", { app: app === "general" ? text("general") : appName(app) });
  $("ul", node).append(...ofApp.map(line));
  return node;
}

function line(one) {
  return made("cost", {
    name: found("operation", one.operation, "operations")?.textContent ?? localized(one, "name"),
    per: one.perItems ? counted("per-items", one.perItems) : priceByUnits(one),
    cost: one.unitCosts ? null : credits(one.cost),
  });
}
