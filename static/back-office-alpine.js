// Unfold's pages under a policy without `unsafe-eval`: the build of Alpine in `unfold/js/alpine` reads
// single expressions and sees no globals, so what unfold writes in other words is said here.
htmx.config.allowEval = false;

const STATEMENTS = {
  "body[x-data]": { "x-data": "page", "x-init": null },
  "form[x-bind\\:action]": { "x-bind:action": null },
  "[x-on\\:click^='sidebarDesktopOpen']": { "x-on:click": "toggleSidebar()" },
  "[x-on\\:keydown\\.enter\\.prevent^='if']": { "x-on:keydown.enter.prevent": "selectUnlessModified($event)" },
};

document.addEventListener("alpine:init", () => {
  for (const [selector, attributes] of Object.entries(STATEMENTS)) {
    for (const element of document.querySelectorAll(selector)) {
      for (const [name, expression] of Object.entries(attributes)) {
        if (expression === null) element.removeAttribute(name);
        else element.setAttribute(name, expression);
      }
    }
  }
  for (const component of [theme, searchForm, searchDropdown]) Alpine.data(component.name, component);
  Alpine.data("searchCommand", () => ({
    ...searchCommand(),
    selectUnlessModified(event) {
      if (!event.metaKey && !event.ctrlKey) this.selectItem(false, false);
    },
  }));
  Alpine.data("page", () => ({
    activeTab: "general",
    sidebarMobileOpen: false,
    sidebarDesktopOpen: localStorage.getItem("sidebarDesktopOpen") !== "0",
    toggleSidebar() {
      this.sidebarDesktopOpen = !this.sidebarDesktopOpen;
      localStorage.setItem("sidebarDesktopOpen", this.sidebarDesktopOpen ? "1" : "0");
    },
  }));
});
