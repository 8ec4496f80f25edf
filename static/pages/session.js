/* The session. The token is kept only in the memory of this module. */

import { Refusal } from "./refusal.js";

const auth = document.documentElement.dataset.auth;
let token = null;
let asking = null;

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

/** Return the token's claims about its owner, for display only: the server verifies the token. */
export function person() {
  const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(claims), (letter) => letter.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

function renew() {
  // The parts of a page load at the same time. One request for a token answers all of them.
  asking ??= askForToken().finally(() => { asking = null; });
  return asking;
}

async function askForToken() {
  let answer;
  try {
    answer = await fetch(`${auth}/api/auth/token`, { credentials: "include" });
  } catch {
    throw new Refusal(503, { code: "auth_unavailable" });
  }
  if (answer.status >= 500) throw new Refusal(503, { code: "auth_unavailable" });
  // mana-auth answers 401 if nobody is signed in. That is a state of the page, not an error.
  token = answer.ok ? (await answer.json()).token : null;
  return token;
}
