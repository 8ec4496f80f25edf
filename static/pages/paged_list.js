/* Lists that load a page of rows at a time. */

import { page } from "./api.js";
import { once, part } from "./shell.js";

const rounds = new WeakMap();

/** Fill the list `place` with the first rows of `path`; `more` loads the next ones. */
export async function fillList({ path, limit, place, more, empty, line }) {
  const round = {};
  rounds.set(place, round);
  let cursor = null;
  const fetchOn = async () => {
    const { rows, next } = await page(path, { limit, cursor });
    if (rounds.get(place) !== round) return; // the list was loaded again meanwhile
    const lines = rows.map(line);
    if (cursor === null) place.replaceChildren();
    place.append(...lines);
    cursor = next;
    offerMore(more, next, lines[0]);
  };
  await fetchOn();
  empty.hidden = place.childElementCount > 0;
  more.onclick = () => once(more, fetchOn);
}

/** Show `more` if there are further rows. If it disappears, its focus moves on to the new rows. */
export function offerMore(more, next, line) {
  if (!next && line && document.activeElement === more) {
    line.tabIndex = -1;
    line.focus();
  }
  more.hidden = !next;
}

/** Run `act` and load its list again; also if it was refused, because another tab may have acted. */
export async function actAndReload(act, panel, list) {
  try {
    await act();
  } catch (refusal) {
    if (!refusal.inDoubt) await part(panel, list);
    throw refusal;
  }
  await part(panel, list);
}
