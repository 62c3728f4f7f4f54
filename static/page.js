// On every page: times that tick, buttons that copy, and the list that keeps itself fresh.
"use strict";

// Texts come in English, with the places to fill in braces; the frame of the page brings those of another language.
const texts = JSON.parse(document.documentElement.dataset.texts ?? "{}");
function tr(text, values = {}) {
  return (texts[text] ?? text).replace(/{(\w+)}/g, (_, name) => values[name] ?? "");
}

// As the server writes durations (pages/figures.rs).
function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60), hours = Math.floor(seconds / 3600), days = Math.floor(seconds / 86400);
  if (seconds < 60) return tr("{n} s", { n: seconds });
  if (seconds < 3600) return seconds % 60 ? tr("{minutes} min {seconds} s", { minutes, seconds: seconds % 60 }) : tr("{n} min", { n: minutes });
  if (hours < 24) return minutes % 60 ? tr("{hours} h {minutes} min", { hours, minutes: minutes % 60 }) : tr("{n} h", { n: hours });
  return hours % 24 ? tr("{days} d {hours} h", { days, hours: hours % 24 }) : tr("{n} d", { n: days });
}

function ago(at) {
  const seconds = (Date.now() - at) / 1000;
  if (seconds < 60) return tr("just now");
  if (seconds < 3600) return tr("{n} min ago", { n: Math.floor(seconds / 60) });
  if (seconds < 86400) return tr("{n} h ago", { n: Math.floor(seconds / 3600) });
  if (seconds < 604800) return tr("{n} d ago", { n: Math.floor(seconds / 86400) });
  return null;
}

function setText(element, text) {
  if (text !== null && element.textContent !== text) element.textContent = text;
}

function tick() {
  for (const element of document.querySelectorAll("[data-since]"))
    setText(element, duration(Date.now() - Number(element.dataset.since)));
  for (const element of document.querySelectorAll("time[data-ago]"))
    setText(element, ago(Date.parse(element.dateTime)));
  for (const element of document.querySelectorAll("time[data-clock]")) {
    const at = new Date(element.dateTime);
    setText(element, at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }));
    element.title = at.toLocaleString();
    element.removeAttribute("data-clock");
  }
}
setInterval(tick, 1000);
tick();

// Makes an element like another one and touches only what differs: focus, selection, scroll and what a reader opened stay.
function morph(there, fresh) {
  if (there.isEqualNode(fresh)) return;
  if (there.nodeName !== fresh.nodeName) return there.replaceWith(fresh);
  if (there.nodeType !== Node.ELEMENT_NODE) {
    there.data = fresh.data;
    return;
  }
  const isKept = (name) => name === "data-touched" || (name === "open" && "touched" in there.dataset);
  for (const { name, value } of fresh.attributes)
    if (!isKept(name) && there.getAttribute(name) !== value) there.setAttribute(name, value);
  for (const { name } of [...there.attributes])
    if (!isKept(name) && !fresh.hasAttribute(name)) there.removeAttribute(name);
  // Its children are the page's own.
  if ("keeps" in there.dataset) return;
  const named = new Map([...there.children].filter((child) => child.id).map((child) => [child.id, child]));
  const wanted = new Set([...fresh.children].map((child) => child.id));
  let next = there.firstChild;
  for (const child of [...fresh.childNodes]) {
    // What has a name and is not wanted any more is no place for something else.
    while (next?.id && !wanted.has(next.id)) {
      const gone = next;
      next = next.nextSibling;
      gone.remove();
    }
    let match = child.id ? named.get(child.id) : null;
    if (!child.id && next && !next.id && next.nodeName === child.nodeName) match = next;
    if (!match) {
      there.insertBefore(child, next);
      continue;
    }
    if (match === next) next = next.nextSibling;
    else move(there, match, next);
    morph(match, child);
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

// An element that is moved loses the focus.
function move(parent, element, before) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  parent.insertBefore(element, before);
  focused?.focus({ preventScroll: true });
}

// What a reader opened or closed stays so.
document.addEventListener("click", (event) => {
  const summary = event.target.closest("summary");
  if (summary) summary.parentElement.dataset.touched = "yes";
});

// What an element of the page says (data-copy: its id), or what stands at an address (data-copy-from).
function offerCopies(part) {
  for (const button of part.querySelectorAll("[data-copy], [data-copy-from]")) {
    button.hidden = false;
    const word = button.textContent;
    button.addEventListener("click", async () => {
      button.textContent = await copied(button.dataset) ? tr("Copied") : tr("Not copied");
      setTimeout(() => { button.textContent = word; }, 1500);
    });
  }
}
offerCopies(document);

async function copied({ copy, copyFrom }) {
  try {
    if (!copyFrom) return await toClipboard(document.getElementById(copy).textContent);
    const answer = await fetch(copyFrom);
    return answer.ok && !answer.redirected && await toClipboard(await answer.text());
  } catch {
    return false;
  }
}

// Without https (but on this machine) browsers have no clipboard for scripts; there a selection is copied as by hand.
async function toClipboard(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return true;
  }
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

// What is being found out is there a moment later.
async function lookAgain() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  morph(document.getElementById("main"), fresh.getElementById("main"));
  tick();
  if (document.querySelector("[data-again]")) setTimeout(lookAgain, 500);
}
if (document.querySelector("[data-again]")) setTimeout(lookAgain, 500);

if (document.querySelector("[data-live-list]")) {
  const refresh = async () => {
    const list = document.querySelector("[data-live-list]");
    if (document.hidden) return;
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const selector of ["[data-live-list]", "#notices"]) {
      const part = fresh.querySelector(selector);
      if (part) morph(document.querySelector(selector), part);
    }
    tick();
  };
  new EventSource("/live").addEventListener("change", refresh);
  document.addEventListener("visibilitychange", refresh);
}
