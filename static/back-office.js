// htmx would add a style element, which the Content-Security-Policy blocks. No page uses its indicator.
if (window.htmx) htmx.config.includeIndicatorStyles = false;
// A form of the back office is sent once: its buttons wait for the answer.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-once]")) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
  for (const button of form.querySelectorAll("button")) {
    // After the event, so that the pressed button's name is still sent.
    setTimeout(() => { button.disabled = true; });
  }
});
// Back in the page by the browser's back button: it can be sent again.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button")) button.disabled = false;
  }
});
// Filters apply as soon as they are changed.
document.addEventListener("change", (event) => {
  event.target.closest("form[data-live]")?.requestSubmit();
});
// Charts have the colours of the theme, also after it is switched. Unfold draws them when the page
// has loaded, after this listener.
function colourCharts() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  Chart.defaults.color = colour("--soft");
  for (const chart of Object.values(Chart.instances)) {
    const declared = JSON.parse(chart.canvas.dataset.value).datasets;
    declared.forEach(({ backgroundColor }, place) => {
      chart.data.datasets[place].backgroundColor = colour(backgroundColor.slice(4, -1));
    });
    chart.update();
  }
}
window.addEventListener("load", () => {
  colourCharts();
  new MutationObserver(colourCharts).observe(document.documentElement, { attributeFilter: ["class"] });
});
// A page of work in progress loads again until the work is done.
addEventListener("load", () => {
  if (document.querySelector("[data-reload]")) setTimeout(() => location.reload(), 3000);
});
// A longer search would make a URL that the server rejects.
addEventListener("load", () => document.querySelector("#searchbar")?.setAttribute("maxlength", 200));
// A form that is sent after the end of the session leads to the log-in. After the log-in, the form
// has what the same operator typed in this tab.
const TYPED = "typed";
const OWN_FIELDS = ["csrfmiddlewaretoken", "key", "seen", "confirmed"];
const SECRETS = "[type=password], [autocomplete=one-time-code]";
const operator = () => document.querySelector("[data-operator]")?.dataset.operator;
const address = () => location.pathname + location.search;
document.addEventListener("submit", ({ target: form }) => {
  if (!form.matches("form[data-once]:not([action])") || form.querySelector(SECRETS)) return;
  const values = [...new FormData(form)].filter(([name, value]) =>
    typeof value === "string" && !OWN_FIELDS.includes(name));
  sessionStorage.setItem(TYPED, JSON.stringify({ operator: operator(), address: address(), values }));
});
addEventListener("DOMContentLoaded", () => {
  const typed = JSON.parse(sessionStorage.getItem(TYPED));
  if (!typed) return;
  const form = document.querySelector("form[data-once]");
  // Only the log-in has no operator. The form was answered if another page follows it.
  if (!operator()) sessionStorage.setItem(TYPED, JSON.stringify({ ...typed, lost: true }));
  else if (!typed.lost || typed.operator !== operator()) sessionStorage.removeItem(TYPED);
  else if (form && typed.address === address()) restore(form, typed.values);
});
function restore(form, values) {
  sessionStorage.removeItem(TYPED);
  for (const field of form.elements) {
    const typed = values.filter(([name]) => name === field.name).map(([, value]) => value);
    if (field.type === "hidden" || !typed.length) continue;
    if (["checkbox", "radio"].includes(field.type)) field.checked = typed.includes(field.value);
    else field.value = typed[0];
  }
  const note = document.createElement("p");
  note.className = "bo-note";
  note.setAttribute("role", "status");
  note.textContent = "Your session had ended, so nothing was sent. The form has what you typed.";
  form.prepend(note);
}
