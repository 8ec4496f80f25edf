/* Shared by all pages: the session, buttons that cannot act twice, parts and tabs. */

import { $, $$, made } from "./dom.js";
import { clear, complain, sentence } from "./notices.js";
import { person, signInAddress, signedIn } from "./session.js";

/** Show the page to a signed-in user, and the invitation to everybody else. */
export async function start(begin) {
  try {
    if (!(await met())) return invite();
    $("#page").hidden = false;
    showCurrentTab();
    await begin();
  } catch (error) {
    trouble(error);
  }
}

/** Show the user's name, let links to mana-auth lead back here; return whether anybody is there. */
export async function met() {
  returnToThisPage();
  try {
    const anybody = Boolean(await signedIn());
    if (anybody) greet();
    return anybody;
  } finally {
    $("#waiting").hidden = true;
  }
}

/** Run `act` when the button is pressed or the form sent, and not again before it has ended. */
export function onPress(element, act) {
  const form = element instanceof HTMLFormElement;
  const button = form ? $("[type=submit]", element) : element;
  element.addEventListener(form ? "submit" : "click", (event) => {
    if (form) event.preventDefault();
    once(button, act);
  });
}

/** Run `act` while the button shows that it waits. */
export async function once(button, act) {
  if (button.getAttribute("aria-busy") === "true") return;
  clear(button);
  button.setAttribute("aria-busy", "true");
  // Not `disabled`: a disabled button loses the focus, and screen readers would not announce its
  // state.
  button.setAttribute("aria-disabled", "true");
  try {
    await act(button);
  } catch (error) {
    if (error.code === "not_authenticated") invite();
    else complain(error);
  } finally {
    button.removeAttribute("aria-busy");
    button.removeAttribute("aria-disabled");
  }
}

/** Run `load`, which fills `place`. If it fails, only `place` shows the error, with a retry. */
export async function part(place, load) {
  const before = $(":scope > .failed", place);
  const focused = before?.contains(document.activeElement);
  try {
    await load();
    before?.remove();
    place.classList.remove("incomplete");
  } catch (error) {
    if (error.code === "not_authenticated") return invite();
    before?.remove();
    place.append(failure(error, () => part(place, load)));
    place.classList.add("incomplete");
    place.hidden = false;
    if (!error.code) throw error;
  }
  if (focused) focusOn(place);
}

function failure(error, retry) {
  const notice = made("failed-part");
  $("p", notice).replaceChildren(...sentence(error).childNodes);
  onPress($("button", notice), retry);
  return notice;
}

function focusOn(place) {
  place.tabIndex = -1;
  place.focus();
}

/** Never resolve: the browser is loading another page, and the button must stay disabled. */
export function leave(address) {
  location.assign(address);
  return new Promise(() => {});
}

/** Show the tab in the URL, else the first. `fill[NAME]` runs each time a tab is opened. */
export function tabs(fill) {
  const names = Object.keys(fill);
  const open = () => {
    const wanted = location.hash.slice(1);
    const name = names.includes(wanted) ? wanted : names[0];
    for (const one of names) {
      $(`#tab-${one}`).hidden = one !== name;
      const link = $(`.tabs [href="#${one}"]`);
      if (one === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    showCurrentTab();
    return part($(`#tab-${name}`), fill[name]);
  };
  addEventListener("hashchange", open);
  return open();
}

/** Scroll the bar of tabs, which may be wider than a phone, to the current one. */
function showCurrentTab() {
  const link = $(".tabs [aria-current]");
  if (link) link.parentElement.scrollLeft = link.offsetLeft - link.parentElement.offsetLeft;
}

function invite() {
  $("#page").hidden = true;
  $("#sign-in").hidden = false;
}

function greet() {
  const { name, email } = person();
  const chip = $("#person");
  $(".name", chip).textContent = name || email || "";
  $(".initial", chip).textContent = (name || email || "?").charAt(0).toUpperCase();
  chip.hidden = false;
}

function trouble(error) {
  if (error.code === "not_authenticated") return invite();
  $("#page").hidden = true;
  const panel = $("#trouble");
  $("p", panel).replaceChildren(...sentence(error).childNodes);
  $("button", panel).onclick = () => location.reload();
  panel.hidden = false;
  if (!error.code) throw error;
}

function returnToThisPage() {
  const refresh = () => {
    for (const link of [$("#person"), ...$$("[data-sign-in]")]) link.href = signInAddress();
    for (const link of $$(".languages a")) {
      const query = new URLSearchParams(location.search);
      query.set("language", link.lang);
      link.search = query;
      link.hash = location.hash;
    }
  };
  const address = new URL(location);
  if (address.searchParams.has("language")) {
    address.searchParams.delete("language");
    history.replaceState(null, "", address);
  }
  refresh();
  for (const event of ["hashchange", "address-changed"]) addEventListener(event, refresh);
  // The browser may restore this page from its cache, with the data of a person who has signed out.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
}
