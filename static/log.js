// A log that grows: what is new comes every second, and the end is followed unless the reader scrolled away from it.
"use strict";

const log = document.getElementById("log");
const MAX_LINES = 4000;

function isAtEnd() {
  return innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
}

async function more() {
  const answer = await fetch(`?only=lines&at=${log.dataset.end}`).catch(() => null);
  if (answer && (!answer.ok || answer.redirected)) return;
  const fresh = answer && new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-end]");
  if (fresh) {
    const follows = isAtEnd();
    // A line that had no end yet comes again, with more of it.
    if (fresh.children.length > 0) log.querySelector("[data-open]")?.remove();
    log.append(...fresh.children);
    while (log.children.length > MAX_LINES) log.firstElementChild.remove();
    log.dataset.end = fresh.dataset.end;
    if (follows) scrollTo({ top: document.documentElement.scrollHeight });
    if (fresh.dataset.goesOn === "true") return more();
    if (fresh.dataset.grows !== "true") return document.getElementById("grows").remove();
  }
  setTimeout(more, 1000);
}

if ("grows" in log.dataset) {
  if (new URLSearchParams(location.search).get("before") === "end") scrollTo({ top: document.documentElement.scrollHeight });
  more();
}
