/* Values that survive a reload of this tab: typed text and keys of unanswered requests, no token. */

const memory = new Map();

/** Return the stored value, or null. */
export function recall(name) {
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

/** Do it; a browser that allows no storage throws, and then only this page remembers. */
function attempt(act) {
  try {
    return act();
  } catch {
    return null;
  }
}
