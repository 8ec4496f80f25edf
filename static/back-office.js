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
