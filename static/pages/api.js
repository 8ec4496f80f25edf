/* Calls of this service's API: JSON, the user's token, one idempotency key per intended change. */

import { Refusal } from "./refusal.js";
import { ownerId, renewed, signedIn } from "./session.js";
import { drop, recall, store } from "./store.js";

const SILENCE = 30_000; // milliseconds without the whole answer, after which it counts as lost

/** GET `path` below /api/v1/ and return the JSON. Throws Refusal. */
export async function read(path, { open = false } = {}) {
  return (await ask("GET", path, { open })).body;
}

/** Return a page of a list and the cursor of the next page, or null. */
export async function page(path, query) {
  const { body, next } = await askInParts(path, query);
  return { rows: body, next };
}

/** Return one part of a text file, and the cursor of the next one or null. */
export async function textPart(path, query) {
  const { body, next } = await askInParts(path, query, { asText: true });
  return { text: body, next };
}

async function askInParts(path, query, options) {
  const filled = Object.entries(query).filter(([, value]) => value);
  const { body, link } = await ask("GET", `${path}?${new URLSearchParams(filled)}`, options);
  return { body, next: /[?&]cursor=(\d+)/.exec(link ?? "")?.[1] ?? null };
}

/**
 * Send a change. A retry of the same request uses the same key until the answer is known. So a
 * change whose answer was lost is not made twice, even after a reload.
 */
export async function change(method, path, body) {
  // The key belongs to the content: if the user corrects the form after a lost answer, the new
  // request is another one and needs its own key. So does the same request of another user.
  const wish = `${ownerId()} ${method} ${path} ${JSON.stringify(body)}`;
  const key = recall(wish) ?? newKey();
  store(wish, key);
  try {
    const answer = await ask(method, path, { body, key });
    drop(wish);
    return answer.body;
  } catch (refusal) {
    // The service does not use the key of a refused request. The next attempt may have a new one.
    if (!refusal.inDoubt) drop(wish);
    throw refusal;
  }
}

async function ask(method, path, { open = false, body, key, asText = false } = {}) {
  const token = open ? null : await signedIn();
  let answer = await send(method, path, { token, body, key });
  const other = answer.status === 401 && token && (await renewed(token)); // it had expired
  if (other) answer = await send(method, path, { token: other, body, key });
  const link = answer.headers.get("Link");
  if (answer.ok) return { body: await content(answer, asText), link };
  const refused = await content(answer).catch(() => ({}));
  throw new Refusal(answer.status, refused, Number(answer.headers.get("Retry-After")));
}

/** Return the body of an answer. If it was cut off or is not the service's, the outcome is unknown. */
async function content(answer, asText = false) {
  try {
    // The page of a Wi-Fi hotspot or a proxy is no answer either, even with status 200.
    const type = asText ? "text/csv" : "application/json";
    if (!answer.headers.get("Content-Type").startsWith(type)) throw lost();
    return await (asText ? answer.text() : answer.json());
  } catch {
    throw lost();
  }
}

async function send(method, path, { token, body, key }) {
  const headers = { "Accept-Language": document.documentElement.lang };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  try {
    return await fetch(`/api/v1/${path}`, {
      method,
      headers,
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(SILENCE),
    });
  } catch {
    throw lost();
  }
}

function lost() {
  return new Refusal(0, { code: "offline" });
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
