/* /credits/statements/MONTH: a month's statement, loaded by sheets, to show, print and save. */

import { read } from "./api.js";
import { $, appName, change, made, number, only, show, text } from "./dom.js";
import { ourWords } from "./entries.js";
import { saveFile } from "./files.js";
import { explained } from "./metering.js";
import { now } from "./session.js";
import { onPress, start } from "./shell.js";

const language = { de: "de-DE", en: "en-GB" }[document.documentElement.lang];
const months = new Intl.DateTimeFormat(language, { month: "long", year: "numeric", timeZone: "UTC" });
const times = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium", timeZone: "UTC" });
const STEPS = 10_000; // credits have four decimals: sums of whole steps are exact

let thisMonth;
let month;
const answers = [];
let received = 0;
let given = 0;

start(async () => {
  thisMonth = new Date(now()).toISOString().slice(0, 7);
  month = location.pathname.split("/")[3] || thisMonth;
  // A file or a print with some of the sheets would look complete but fail its verification.
  $("#print").disabled = $("#save").disabled = true;
  offerMonths();
  let newest;
  do {
    newest = await read(`credits/statements/${encodeURIComponent(month)}?sheet=${answers.length + 1}`);
    add(newest);
  } while (answers.length < newest.statement.sheets);
  finish(newest.statement);
  onPress($("#print"), () => window.print());
  onPress($("#save"), save);
});

function offerMonths() {
  const [year, of] = month.split("-").map(Number);
  for (const [id, offset] of [["before", -1], ["next", 1]]) {
    const first = new Date(Date.UTC(year, of - 1 + offset, 1));
    const link = $(`#${id}`);
    link.hidden = Number.isNaN(first.getTime()) || first.toISOString().slice(0, 7) > thisMonth;
    if (link.hidden) continue;
    link.href = `/credits/statements/${first.toISOString().slice(0, 7)}`;
    show(link, { [id]: months.format(first) });
  }
}

function add(answer) {
  answers.push(answer);
  const { movements, count } = answer.statement;
  for (const { amount } of movements) {
    const steps = Math.round(amount * STEPS);
    if (steps > 0) received += steps;
    else given += steps;
  }
  $("#movements").append(...movements.map(row));
  show($("#progress"), { loaded: text("loaded", { n: number(loaded()), of: number(count) }) });
  $("#progress").hidden = loaded() >= count;
}

function loaded() {
  return $("#movements").childElementCount;
}

function row(movement) {
  const { type, description, appId, recordedAt } = movement;
  const app = ["", "system", "gifts", "sync"].includes(appId) ? null : appName(appId);
  const ours = ourWords(movement);
  const recorded = recordedAt && text("recorded", { time: time(recordedAt) });
  return made("movement", {
    number: String(movement.number),
    time: time(movement.createdAt),
    title: ours ?? (description || text(type)),
    context: [description && !ours && text(type), app, explained(movement.metering), recorded].filter(Boolean).join(" · "),
    amount: change(movement.amount),
    balance: number(movement.balanceAfter),
  });
}

function finish(statement) {
  const { opening, closing, held, digest, count } = statement;
  const first = new Date(`${statement.month}-01T00:00:00Z`);
  show($("#page"), {
    month: months.format(first),
    userId: statement.userId,
    issuer: statement.issuer,
    createdAt: `${time(statement.createdAt)} UTC`,
    opening: number(opening),
    received: change(received / STEPS),
    given: change(given / STEPS),
    closing: number(closing),
    held: number(held),
    count: number(count),
    digest: digest ?? "–",
    key: keyOf(answers.at(-1).jws),
  });
  document.title = `${$("#statement-title").textContent} · Mana`;
  only($("#statement"), statement.final ? "final" : "open");
  only($(".proof"), answers.every(({ signed }) => signed) ? "signed" : "unsigned");
  $("#none").hidden = count > 0;
  $(".scroll").hidden = count === 0;
  $("#print").disabled = $("#save").disabled = false;
  $("#statement").ariaBusy = "false";
}

function time(moment) {
  return times.format(new Date(moment));
}

function keyOf(jws) {
  const head = jws?.split(".")[0].replaceAll("-", "+").replaceAll("_", "/");
  return head ? JSON.parse(atob(head)).kid : "";
}

function save() {
  const text = `[${answers.map((one) => JSON.stringify(one)).join(",\n")}]\n`;
  saveFile(`mana-credits-${month}.json`, [text], "application/json");
}
