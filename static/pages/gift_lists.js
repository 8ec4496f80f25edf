/* The lists of received and created gifts. */

import { change as send } from "./api.js";
import { $, change, credits, day, made, moment, show, text } from "./dom.js";
import { announce, confirmed } from "./notices.js";
import { actAndReload, fillList } from "./paged_list.js";
import { Refusal } from "./refusal.js";
import { onPress } from "./shell.js";

const ROWS = 25;

export const received = () => list("received", (gift) =>
  made("received-gift", {
    from: gift.creatorName ? text("from", { name: gift.creatorName }) : text("somebody"),
    message: gift.message,
    day: day(gift.redeemedAt),
    amount: change(gift.credits),
  }),
);

export const created = () => list("created", line);

/** Copy a gift's link and confirm it; show it if the browser does not allow copying. */
export async function copy(url) {
  try {
    await navigator.clipboard.writeText(url);
  } catch {
    throw new Refusal(0, { code: "not_copied", details: { url } });
  }
  announce(text("copied"));
}

function list(name, lineOf) {
  return fillList({
    path: `gifts/me/${name}`,
    limit: ROWS,
    place: $(`#${name}-list`),
    more: $(`#tab-${name} .more`),
    empty: $(`#no-${name}`),
    line: lineOf,
  });
}

function line(gift) {
  const open = gift.status === "active";
  const { code, message } = gift;
  const node = made("created-gift", {
    code,
    which: ` ${code}`,
    amount: credits(gift.totalCredits),
    status: gift.redeemedAt ? null : text(gift.status),
    for: gift.targetEmail && text("for", { email: gift.targetEmail }),
    message,
    until: open ? text("until", { day: day(gift.expiresAt) }) : null,
    redeemed: gift.redeemedAt && text("redeemed-on", { moment: moment(gift.redeemedAt) }),
  });
  group($("[data-field=code]", node), code);
  if (!open) {
    $(".doings", node).remove();
    return node;
  }
  $(".send", node).href = letter(gift);
  onPress($(".copy", node), () => copy(gift.shortUrl));
  onPress($(".show-qr", node), () => showCode(code));
  onPress($(".cancel", node), () => cancel(gift));
  return node;
}

/** Return a mailto link with the gift's link, addressed to its recipient if there is one. */
function letter({ targetEmail, shortUrl, totalCredits }) {
  const words = { subject: text("letter-subject"), body: text("letter", { url: shortUrl, amount: credits(totalCredits) }) };
  const query = Object.entries(words).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `mailto:${encodeURIComponent(targetEmail ?? "")}?${query.join("&")}`;
}

/** Separate the groups of `code` by style only, so that a copy has no gaps. */
function group(node, code) {
  // Codes have 10 characters, older ones 12. Imported codes of 6 characters are not grouped.
  const size = { 10: 5, 12: 4 }[code.length] ?? code.length;
  const parts = code.match(new RegExp(`.{1,${size}}`, "g"));
  node.classList.add("groups");
  node.replaceChildren(...parts.map((part) => Object.assign(document.createElement("span"), { textContent: part })));
}

function showCode(code) {
  const dialog = $("#qr");
  $(".qr", dialog).src = `/g/${code}.svg`;
  show(dialog, { code });
  group($("[data-field=code]", dialog), code);
  dialog.showModal();
}

async function cancel(gift) {
  const amount = credits(gift.totalCredits);
  const asked = { question: text("question"), consequence: text("consequence", { amount }), yes: text("yes") };
  if (!(await confirmed(asked))) return;
  await actAndReload(async () => {
    await send("DELETE", `gifts/${gift.id}`);
    announce(text("back", { amount }));
  }, $("#tab-created"), created);
  $("#created-list").focus();
}
