/* /gifts/redeem and /gifts/redeem/CODE: show a gift, and redeem it. */

import { change, read } from "./api.js";
import { $, credits, day, moment, number, only, show, text } from "./dom.js";
import { forgetDraft, keepDraft } from "./drafts.js";
import { valid } from "./forms.js";
import { complain, sentence } from "./notices.js";
import { leave, met, onPress } from "./shell.js";

const code = decodeURIComponent(location.pathname.split("/")[3] ?? "");
const SHOWN = ["recipient", "locked", "redeemed", "other", "giver", "redeemer"];
const address = `gifts/${encodeURIComponent(code)}`;

if (code) await look();
else await askForCode();

async function askForCode() {
  const form = $("#code-form");
  onPress(form, async () => {
    if (!valid(form)) return;
    forgetDraft(form);
    await leave(`/gifts/redeem/${encodeURIComponent(form.elements.code.value.trim())}`);
  });
  keepDraft(form, { owner: null });
  form.hidden = false;
  await someoneIsThere();
}

async function look() {
  onPress($("#redeem"), take);
  $("#again").onclick = () => location.reload();
  const here = someoneIsThere();
  try {
    await presentCurrent({ open: !(await here) });
  } catch (refusal) {
    refuse(refusal);
  }
}

async function presentCurrent(options) {
  // With a token, the answer also says what the gift is to this person (`relation`).
  const gift = await read(address, options);
  present(gift, stateOf(gift));
}

/** Show what became of a gift that was not redeemed here, for example because another tab did it. */
async function lookAgain(refusal) {
  if (refusal.code === "gift_not_redeemable") await presentCurrent().catch(() => {});
  throw refusal;
}

/** Return the state to show: the gift's final status, or its relation to the person. */
function stateOf({ status, relation }) {
  if (relation === "redeemer") return relation;
  return status === "active" ? (relation ?? "locked") : status;
}

/** Return whether somebody is signed in; while mana-auth is down, nobody is. */
function someoneIsThere() {
  return met().catch((refusal) => complain(refusal));
}

async function take() {
  const gift = await change("POST", `${address}/redeem`, { sourceAppId: "web" }).catch(lookAgain);
  present({ ...gift, totalCredits: gift.credits }, "redeemed");
  show($("#gift"), { balance: credits(gift.newBalance) });
  $("#gift").focus();
}

function present(gift, state) {
  only($("#gift"), state);
  const { creatorName: name, totalCredits } = gift;
  if (SHOWN.includes(state)) {
    show($("#gift"), {
      redeemed: gift.redeemedAt && text("redeemed-on", { moment: moment(gift.redeemedAt) }),
      headline: name ? text("headline", { name }) : text("headline-nobody"),
      amount: number(totalCredits),
      unit: text(totalCredits === 1 ? "credit" : "credits"),
      message: gift.message,
      personal: gift.isPersonalized ? text("personal") : null,
      until: gift.expiresAt ? text("until", { day: day(gift.expiresAt) }) : null,
    });
  }
  $("#gift").hidden = false;
}

function refuse(refusal) {
  only($("#gift"), refusal.code === "gift_not_found" ? "unknown" : "refused");
  $("#why").replaceChildren(...sentence(refusal).childNodes);
  $("#gift").hidden = false;
  if (!refusal.code) throw refusal;
}
