// Keys for everything. Each page lists its own in the dialog that `?` opens, with what they do; what is not known here becomes
// an event "key" on the document, for the script of the page.
"use strict";
{
  const dialog = document.getElementById("keys");
  const single = document.getElementById("keys-on");
  const does = new Map([...dialog.querySelectorAll("[data-key]")].map((entry) => [entry.dataset.key, entry.dataset.does]));
  const isField = (element) => element.matches?.("input:not([type=radio], [type=checkbox], [type=file]), textarea, select, [contenteditable]");
  let first = "";
  let forgets = 0;

  single.checked = localStorage.getItem("keys") !== "off";
  single.addEventListener("change", () => localStorage.setItem("keys", single.checked ? "on" : "off"));

  // The things on the page that are gone through, as the page names them.
  function items() {
    const selector = document.querySelector("[data-items]")?.dataset.items;
    return selector ? [...document.querySelectorAll(selector)].filter((item) => item.getClientRects().length > 0) : [];
  }

  function move(by) {
    const all = items();
    const here = all.findIndex((item) => item.contains(document.activeElement));
    // From where the reader is, when nothing has the focus.
    const start = all.findIndex((item) => item.getBoundingClientRect().bottom > 80);
    const next = here >= 0 ? here + by : by > 0 ? start : start - 1;
    const item = all[Math.min(Math.max(next, 0), all.length - 1)];
    if (!item) return;
    if (!item.matches("a, button, summary, input")) item.tabIndex = -1;
    item.focus({ preventScroll: true });
    item.scrollIntoView({ block: "nearest" });
  }

  function open() {
    const item = items().find((item) => item === document.activeElement);
    const details = item?.querySelector("details");
    if (details) {
      details.open = !details.open;
      details.dataset.touched = "yes";
    } else {
      item?.querySelector("a")?.click();
    }
  }

  function act(what) {
    const [name, value] = what.split(/:(.*)/s);
    if (name === "help") dialog.showModal();
    else if (name === "go") location.assign(value);
    else if (name === "up") document.querySelector("[data-up]")?.click();
    else if (name === "find") document.querySelector("[data-find]")?.focus();
    else if (name === "next") move(1);
    else if (name === "previous") move(-1);
    else if (name === "click") document.querySelector(value)?.click();
    else if (name === "open") open();
    else document.dispatchEvent(new CustomEvent("key", { detail: what }));
  }

  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    if (isField(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (!single.checked && event.key !== "?") return;
    // What has the focus and opens by itself does so.
    if (event.key === "Enter" && event.target.closest("a, button, summary, input")) return;
    const pressed = first ? `${first} ${event.key}` : event.key;
    first = "";
    clearTimeout(forgets);
    if (does.has(pressed)) {
      event.preventDefault();
      act(does.get(pressed));
    } else if ([...does.keys()].some((keys) => keys.startsWith(`${event.key} `))) {
      first = event.key;
      forgets = setTimeout(() => { first = ""; }, 1500);
    }
  });
  for (const button of document.querySelectorAll("[data-opens-keys]")) {
    button.hidden = false;
    button.addEventListener("click", () => dialog.showModal());
  }
}
