/* All transactions: filters, and a list that loads more while the user scrolls. */

import { page, read, textPart } from "./api.js";
import { $, appName } from "./dom.js";
import { lines, waiting } from "./entries.js";
import { saveFile } from "./files.js";
import { offerMore } from "./paged_list.js";
import { now } from "./session.js";
import { once, part } from "./shell.js";

const ROWS = 25;
const AFTER_HEADER = /^[^\n]*\n/; // the names of the columns contain no line break
let cursor = null;
let round = 0;

const end = new IntersectionObserver(([entry]) => entry.isIntersecting && more());

export async function transactions() {
  const list = () => part($("#transactions-panel"), begin);
  readAddress();
  $("#filters").onchange = () => {
    writeAddress();
    return list();
  };
  $("#filters").onsubmit = (event) => event.preventDefault();
  $("#more").onclick = more;
  $("#save-file").onclick = () => once($("#save-file"), saveAll);
  end.observe($("#more"));
  // The list is complete without the apps' names, so an error here is not shown.
  await Promise.all([offerApps().catch(() => {}), list()]);
}

async function begin() {
  const mine = (round += 1);
  $("#all").replaceChildren(...waiting(8));
  $("#more").hidden = true;
  const chosen = filters();
  const { rows, next } = await page("credits/transactions", { ...chosen, limit: ROWS });
  if (mine !== round) return; // a newer choice overtook this one
  $("#all").replaceChildren(...lines(rows));
  const isFiltered = Object.values(chosen).some(Boolean);
  $("#none").hidden = rows.length > 0 || isFiltered;
  $("#no-match").hidden = rows.length > 0 || !isFiltered;
  goOn(next);
}

function more() {
  return once($("#more"), async () => {
    const mine = round;
    const { rows, next } = await page("credits/transactions", { ...filters(), limit: ROWS, cursor });
    if (mine !== round) return;
    const added = lines(rows);
    $("#all").append(...added);
    goOn(next, added[0]);
  });
}

/** Save all transactions that the filters choose, in one file although the API answers in parts. */
async function saveAll() {
  const chosen = filters();
  const parts = [];
  let next = null;
  do {
    const part = await textPart("credits/transactions.csv", { ...chosen, cursor: next });
    // Each part has the header and a byte order mark of its own. The file needs one of each, at its
    // start. fetch() removes the mark when it decodes the text.
    parts.push(parts.length ? part.text.replace(AFTER_HEADER, "") : `\ufeff${part.text}`);
    next = part.next;
  } while (next);
  saveFile("mana-credits-transactions.csv", parts, "text/csv;charset=utf-8");
}

function goOn(next, line) {
  cursor = next;
  offerMore($("#more"), next, line);
}

function filters() {
  const form = $("#filters");
  const { from, to } = form.elements;
  const chosen = Object.fromEntries(new FormData(form));
  return { ...chosen, from: instant(from, "T00:00"), to: instant(to, "T23:59:59.999") };
}

/** Return the moment at that time of the day, which is one of the reader's time zone. */
function instant({ value, validity }, time) {
  return value && validity.valid && new Date(value + time).toISOString();
}

/** Set the filters from the URL, so that a link or a reload shows the same list. */
function readAddress() {
  const { searchParams } = new URL(location);
  for (const field of $("#filters").elements) {
    const wanted = searchParams.get(field.name) ?? "";
    if (field.name === "appId" && wanted) offer(field, wanted);
    field.value = wanted;
  }
}

function writeAddress() {
  const address = new URL(location);
  for (const { name, value } of $("#filters").elements) {
    if (value) address.searchParams.set(name, value);
    else address.searchParams.delete(name);
  }
  history.replaceState(null, "", address);
  dispatchEvent(new Event("address-changed"));
}

function offer(choice, app) {
  if ([...choice.options].every(({ value }) => value !== app)) choice.append(new Option(appName(app), app));
}

async function offerApps() {
  const choice = $("#filters").elements.appId;
  const year = new Date(now() - 365 * 24 * 3600 * 1000).toISOString().slice(0, 10);
  const used = await read(`credits/usage?from=${year}`);
  const apps = [...new Set(used.map(({ appId }) => appId))].sort();
  for (const app of apps) offer(choice, app);
}
