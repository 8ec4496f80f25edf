/* Who is signed in. The token lives in this module's memory, and nowhere else. */

import { Refusal } from "./refusal.js";

const auth = document.documentElement.dataset.auth;
let token = null;
let asking = null;

/** Return the token, asking mana-auth for one if there is none yet; null for nobody. */
export async function signedIn() {
  return token ?? renew();
}

/** Return another token than `expired`, or null; whoever asks at the same time asks once. */
export async function renewed(expired) {
  return token === expired ? renew() : token;
}

/** Return where to sign in, and then come back to this page. */
export function signInAddress() {
  return `${auth}/?redirectTo=${encodeURIComponent(location.href)}`;
}

/** Return what the token says of its owner, to show it: trust is the server's. */
export function person() {
  const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(claims), (letter) => letter.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

function renew() {
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
  token = answer.ok ? (await answer.json()).token : null;
  return token;
}
