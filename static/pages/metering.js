/* Prices by units, in words. */

import { counted, credits, number, text, unitCost } from "./dom.js";

/** Return what the units of a transaction cost, or null for a transaction without units. */
export function explained(metering) {
  if (!metering) return null;
  const { units, unitCosts, minimum, unpaid } = metering;
  const used = Object.entries(units).map(([unit, n]) =>
    text("units-at", { n: number(n), unit: named(unit), cost: unitCost(unitCosts[unit]) }),
  );
  return joined([...used, ...least(minimum), unpaid ? text("unpaid", { amount: credits(unpaid) }) : null]);
}

/** Return the price of an operation by its units, or null for an operation without them. */
export function priceByUnits({ unitCosts, minimum }) {
  if (!unitCosts) return null;
  const each = Object.entries(unitCosts).map(([unit, cost]) => counted("per-thousand", cost, { cost: unitCost(cost), unit: named(unit) }));
  return joined([...each, ...least(minimum)]);
}

/** Return the unit `inputTokens` as words. */
function named(unit) {
  return text(`unit-${unit}`) ?? unit.replace(/[A-Z]+/g, (capitals) => ` ${capitals.toLowerCase()}`);
}

function least(minimum) {
  return minimum === null ? [] : [text("at-least", { amount: credits(minimum) })];
}

function joined(parts) {
  return parts.filter(Boolean).join(" · ");
}
