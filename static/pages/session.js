/* The session. The token is kept only in the memory of this module. */

import { Refusal } from "./refusal.js";

const auth = document.documentElement.dataset.auth;
const HOUR = 3_600_000;
const SILENCE = 30_000; // milliseconds without an answer, after which mana-auth counts as down
let token = null;
let asking = null;
let owner = null; // the id of the user whose data the page shows
let lag = 0; // the milliseconds by which the browser's clock is behind

/** Return the token; fetch it from mana-auth if there is none yet. Null if nobody is signed in. */
export async function signedIn() {
  return token ?? renew();
}

/** Return a token other than `expired`, or null. Concurrent callers share one request. */
export async function renewed(expired) {
  return token === expired ? renew() : token;
}

/** Return the URL to sign in, which leads back to this page. */
export function signInAddress() {
  return `${auth}/?redirectTo=${encodeURIComponent(location.href)}`;
}

/** Return the id of the user whose data the page shows; null before anybody signed in. */
export function ownerId() {
  return owner;
}

/** Return the token's claims about its owner, for display only: the server verifies the token. */
export function person() {
  return claimsOf(token);
}

/** Return the time in milliseconds since 1970, also if the browser's clock is wrong by hours. */
export function now() {
  return Date.now() + lag;
}

function claimsOf(jwt) {
  const claims = jwt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(claims), (letter) => letter.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

function renew() {
  // The parts of a page load at the same time. One request for a token answers all of them.
  asking ??= askForToken().finally(() => { asking = null; });
  return asking;
}

async function askForToken() {
  const next = await fetchToken();
  if (next) {
    const { sub, iat } = claimsOf(next);
    // Another tab may have signed in somebody else. This page must not mix the data of two people.
    if (owner && owner !== sub) return reloaded();
    owner = sub;
    const measured = iat * 1000 - Date.now();
    lag = Math.abs(measured) > HOUR ? measured : 0; // a token may be a few minutes old
  }
  token = next;
  return token;
}

/** Return a new token, or null if nobody is signed in: that is a state of the page, not an error. */
async function fetchToken() {
  try {
    const options = { credentials: "include", signal: AbortSignal.timeout(SILENCE) };
    const answer = await fetch(`${auth}/api/auth/token`, options);
    if (answer.ok) return (await answer.json()).token;
    if (answer.status < 500 && answer.status !== 429) return null;
  } catch {
    // No answer, or not that of mana-auth.
  }
  throw new Refusal(503, { code: "auth_unavailable" });
}

/** Load the page again; never resolve, so that nothing happens until then. */
function reloaded() {
  location.reload();
  return new Promise(() => {});
}
