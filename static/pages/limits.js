/* The form of the low-balance notice and the spending limits, with what was spent of them. */

import { change, read } from "./api.js";
import { $, $$, appName, credits, made, moment, number, show, text } from "./dom.js";
import { forgetDraft, keepDraft } from "./drafts.js";
import { forgetChanged, showChanged, showProblem, showRefused, valid } from "./forms.js";
import { announce } from "./notices.js";
import { now } from "./session.js";
import { onPress } from "./shell.js";

const DAY = 24 * 3600 * 1000;
let apps = [];
let added = 0;

export async function limits() {
  const settings = await read("credits/settings");
  // The settings are complete without the names of the other apps, so an error of this request is
  // not shown.
  apps = await knownApps().catch(() => []);
  fill(settings);
  showSpent(settings);
  $("#limits").hidden = false;
  keepDraft($("#limits"), { typed, restore: fill });
  onPress($("#limits"), save);
  onPress($("#add-limit"), async () => addRow().querySelector("select").focus());
}

async function knownApps() {
  const year = new Date(now() - 365 * DAY).toISOString().slice(0, 10);
  const [used, operations] = await Promise.all([
    read(`credits/usage?from=${year}`),
    read("credits/operations", { open: true }),
  ]);
  const priced = operations.map(({ app }) => app).filter((app) => app !== "general");
  return [...used.map(({ appId }) => appId), ...priced];
}

/**
 * Fill the form with settings: those of the API, or those that were typed before. The version stays
 * with the typed values, so that a later save notices changes of another tab.
 */
function fill({ lowBalance, monthlyLimit, appLimits, version }) {
  const { elements } = $("#limits");
  elements.version.value = version ?? elements.version.value;
  elements.lowBalance.value = lowBalance ?? "";
  elements.monthlyLimit.value = monthlyLimit ?? "";
  $("#app-limits").replaceChildren();
  for (const limit of appLimits) addRow(limit);
  tellEmpty();
}

function addRow({ appId = "", monthlyLimit = "" } = {}) {
  const row = made("app-limit");
  const [select, input] = $$("select, input", row);
  for (const field of [select, input]) {
    field.id = `app-limit-${(added += 1)}`;
    const problem = $(".problem", field.parentElement);
    problem.id = `${field.id}-problem`;
    field.setAttribute("aria-describedby", problem.id);
    $("label", field.parentElement).htmlFor = field.id;
  }
  const offered = [...new Set([...apps, appId])].filter(Boolean).sort();
  select.append(new Option("", ""), ...offered.map((app) => new Option(appName(app), app)));
  select.value = appId;
  input.value = monthlyLimit;
  const name = () => show(row, { which: ` ${appName(select.value)}` });
  name();
  select.addEventListener("change", name);
  $(".remove", row).onclick = () => remove(row);
  $("#app-limits").append(row);
  tellEmpty();
  return row;
}

function remove(row) {
  row.remove();
  tellEmpty();
  // A removed row fires no event of its own. This one stores the draft without the row.
  $("#limits").dispatchEvent(new Event("input"));
  $("#add-limit").focus();
}

function tellEmpty() {
  $("#no-app-limits").hidden = $("#app-limits").childElementCount > 0;
}

function showSpent({ monthlyLimit, spent, appLimits, updatedAt }) {
  budget($("#budget"), spent, monthlyLimit);
  const rows = $("#app-limits").children;
  appLimits.forEach((limit, at) => budget($(".budget", rows[at]), limit.spent, limit.monthlyLimit));
  show($("#limits"), { updated: updatedAt && text("updated", { moment: moment(updatedAt) }) });
}

function budget(place, spent, limit) {
  place.hidden = limit === null;
  if (place.hidden) return;
  show(place, { spent: text("spent-of", { spent: number(spent), limit: credits(limit) }) });
  // A limit of 0 permits no spend, so it is used up from the beginning.
  const share = limit > 0 ? Math.min(spent / limit, 1) : 1;
  $(".bar", place).style.width = `${share * 100}%`;
  place.classList.toggle("used-up", share === 1);
}

/** Return what the form says, as the API takes it; an empty field is null. */
function typed() {
  const { lowBalance, monthlyLimit, version } = $("#limits").elements;
  const appLimits = [...$("#app-limits").children].map((row) => {
    const [select, input] = $$("select, input", row);
    return { appId: select.value, monthlyLimit: amount(input) };
  });
  const amounts = { lowBalance: amount(lowBalance), monthlyLimit: amount(monthlyLimit) };
  return { ...amounts, appLimits, version: version.value };
}

function amount({ value }) {
  return value === "" ? null : Number(value);
}

async function save() {
  const form = $("#limits");
  refuseRepeated();
  if (!valid(form)) return;
  try {
    settled(await change("PUT", "credits/settings", typed()));
    announce(text("saved"));
  } catch (refusal) {
    const isStale = showChanged(form, refusal, { lines: difference, take: takeOver });
    if (!isStale && !showRefused(form, refusal)) throw refusal;
  }
}

function settled(saved) {
  forgetDraft($("#limits"));
  forgetChanged($("#limits"));
  fill(saved);
  showSpent(saved);
}

async function takeOver() {
  settled(await read("credits/settings"));
}

/** Return the saved values that differ from the typed ones, one per line. */
function difference(current) {
  const [saved, mine] = [current, typed()].map(named);
  const names = [...new Set([...Object.keys(saved), ...Object.keys(mine)])];
  return names.filter((name) => saved[name] !== mine[name])
    .map((name) => text("saved-there", { name, value: value(saved[name]) }));
}

function named({ lowBalance, monthlyLimit, appLimits }) {
  const ofApps = appLimits.map((one) => [text("limit-of", { app: appName(one.appId) }), one.monthlyLimit]);
  const { labels: [notice] } = $("#lowBalance");
  const { labels: [limit] } = $("#monthlyLimit");
  const all = [[notice.textContent, lowBalance], [limit.textContent, monthlyLimit], ...ofApps];
  return Object.fromEntries(all.filter(([, amount]) => amount !== null));
}

function value(amount) {
  return amount === undefined ? text("nothing-set") : credits(amount);
}

/** Mark the field of each app invalid that has a limit in a row above. */
function refuseRepeated() {
  const seen = new Set();
  for (const select of $$("#app-limits select")) {
    select.setCustomValidity(seen.has(select.value) ? "repeated" : "");
    select.oninput = () => {
      select.setCustomValidity("");
      showProblem(select);
    };
    seen.add(select.value);
  }
}
