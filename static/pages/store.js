/* Values that survive a reload of this tab: drafts and keys of unanswered requests. No token. */

const memory = new Map();

/** Return the stored value, or null. */
export function recall(name) {
  // Browsers can deny the storage, for example in private windows. Then the values live as long as
  // the page.
  return attempt(() => sessionStorage.getItem(name)) ?? memory.get(name) ?? null;
}

export function store(name, value) {
  memory.set(name, value);
  attempt(() => sessionStorage.setItem(name, value));
}

export function drop(name) {
  memory.delete(name);
  attempt(() => sessionStorage.removeItem(name));
}

/** Access the storage. If the browser denies it, only this page keeps the values. */
function attempt(act) {
  try {
    return act();
  } catch {
    return null;
  }
}
