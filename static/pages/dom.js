/* Helpers for the document. All texts are in its templates, in the reader's language. */

const language = document.documentElement.lang;
const region = { de: "de-DE", en: "en-GB" }[language]; // one format of dates and prices for all readers
const numbers = new Intl.NumberFormat(region, { maximumFractionDigits: 4 });
const costs = new Intl.NumberFormat(region, { maximumFractionDigits: 8 });
const signed = new Intl.NumberFormat(region, { maximumFractionDigits: 4, signDisplay: "exceptZero" });
const euros = new Intl.NumberFormat(region, { style: "currency", currency: "EUR" });
const days = new Intl.DateTimeFormat(region, { dateStyle: "medium" });
const utcDays = new Intl.DateTimeFormat(region, { dateStyle: "medium", timeZone: "UTC" });
const moments = new Intl.DateTimeFormat(region, { dateStyle: "medium", timeStyle: "short" });

export const $ = (selector, inside = document) => inside.querySelector(selector);
export const $$ = (selector, inside = document) => [...inside.querySelectorAll(selector)];
export const number = (value) => numbers.format(value);
/** A cost of 1,000 units, which has up to 8 decimal places. */
export const unitCost = (value) => costs.format(value);
// A minus sign (U+2212) is as wide as the plus sign, so that amounts in a column are aligned.
export const change = (value) => signed.format(value).replace("-", "−");
export const price = (cents) => euros.format(cents / 100);
export const day = (text) => days.format(new Date(text));
export const utcDay = (text) => utcDays.format(new Date(text));
export const moment = (text) => moments.format(new Date(text));
export const credits = (value) => `${number(value)} ${text(value === 1 ? "credit" : "credits")}`;
export const localized = (row, field) => (language === "de" && row[`${field}De`]) || row[field];
export const appName = (id) => isolated(id.charAt(0).toUpperCase() + id.slice(1));

// Letters that are written from right to left, and characters that change the direction.
const BOTH_WAYS = /[\u0590-\u08ff\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufefc]/;

/** Return a name so that its direction of writing does not reorder the words beside it. */
function isolated(name) {
  return BOTH_WAYS.test(name) ? `\u2068${name}\u2069` : name;
}

/** Return the page's text of that name with its `{field}`s filled in; null if it has none. */
export function text(name, values = {}) {
  return filled(found("text", name, "texts"), values);
}

/** Return the text for a count: that named `NAME-one` for 1. Its `{n}` is the count. */
export function counted(name, n, values = {}) {
  return text(n === 1 ? `${name}-one` : name, { n: number(n), ...values });
}

/** Return a copy of the text `data-KIND="NAME"` in `id` as a node, or null. */
export function found(kind, name, id) {
  const entry = $$(`[data-${kind}]`, $(`#${id}`).content).find((one) => one.dataset[kind] === name);
  return entry ? entry.cloneNode(true) : null;
}

/** Replace each `{field}` in all texts of `node` by its value; return the text. */
export function filled(node, values = {}) {
  if (!node) return null;
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    walker.currentNode.data = walker.currentNode.data.replace(
      /\{(\w+)\}/g,
      (whole, field) => isolated(values[field] ?? whole),
    );
  }
  return node.textContent;
}

/** Return a copy of the template's only element with `values` in its `data-field`s. */
export function made(id, values = {}) {
  const node = $(`#${id}`).content.firstElementChild.cloneNode(true);
  show(node, values);
  return node;
}

/** Write `values` into the `data-field`s in `node`; hide those without a value or of another state. */
export function show(node, values) {
  for (const [field, value] of Object.entries(values)) {
    for (const place of $$(`[data-field="${field}"]`, node)) {
      place.textContent = value ?? "";
      const isEmpty = value === null || value === undefined || value === "";
      place.hidden = isEmpty || ("when" in place.dataset && place.hidden);
    }
  }
}

/** Show only those elements `[data-when~=STATE]` of `node` that belong to `state`, before `show`. */
export function only(node, state) {
  for (const place of $$("[data-when]", node)) {
    place.hidden = !place.dataset.when.split(" ").includes(state);
  }
}
