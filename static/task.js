// A task as it goes on: pieces of the page come from the server and take their places, the log grows, the end is followed.
"use strict";

const page = document.getElementById("task");
const story = document.getElementById("story");
const follow = document.getElementById("follow");
let following = Boolean(page.dataset.live);

function isAtEnd() {
  return innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
}

function toEnd() {
  scrollTo({ top: document.documentElement.scrollHeight });
}

// Every element of a piece has an id: the one on the page becomes like it, or it goes on with the story.
function place(html) {
  const pieces = new DOMParser().parseFromString(html, "text/html").body;
  for (const piece of [...pieces.children]) {
    const there = piece.id && document.getElementById(piece.id);
    if (there) morph(there, piece);
    else if (piece.localName === "li") story.append(piece);
    if (piece.dataset.holds) hold(there ?? piece);
  }
}

// What was read in a row goes into the line that tells of it, which takes the place of the first.
function hold(line) {
  const inside = line.querySelector("ol");
  for (const id of line.dataset.holds.split(" ")) {
    const block = document.getElementById(id);
    if (!block || inside.contains(block)) continue;
    if (inside.children.length === 0 && block.parentElement === story) story.insertBefore(line, block);
    move(inside, block, null);
  }
}

// A link to a step is put into the address; nothing is loaded again.
document.addEventListener("click", (event) => {
  const anchor = event.target.closest(".anchor");
  if (!anchor || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.replaceState(null, "", anchor.search);
  location.hash = anchor.hash;
  stay();
});

// The reader looks at something: the page does not run away from under it.
function stay() {
  following = false;
  follow.hidden = !page.dataset.live;
}

function showTarget() {
  const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (!target) return;
  for (let outer = target.closest("details"); outer; outer = outer.parentElement.closest("details")) outer.open = true;
  target.scrollIntoView({ block: "center" });
  stay();
}
addEventListener("hashchange", showTarget);

function connect() {
  const events = new EventSource(`${page.dataset.live}?after=${page.dataset.last}`);
  events.onmessage = (message) => {
    place(message.data);
    tick();
    if (following) toEnd();
    const status = document.getElementById("now").dataset.status;
    if (["completed", "failed", "cancelled"].includes(status)) {
      events.close();
      follow.hidden = true;
      if (following) scrollTo({ top: 0, behavior: "smooth" });
      following = false;
    }
    log();
  };
}

// The setup log is a file that grows: the server renders what is new, while setup runs and once after it.
const setup = document.getElementById("setup");
const text = document.getElementById("setup-text");
const MAX_ROWS = 4000;
let reading = false;
let timer = null;

async function readLog() {
  if (reading) return;
  reading = true;
  try {
    for (let goesOn = true; goesOn;) {
      const answer = await fetch(`${setup.dataset.rows}&at=${setup.dataset.end}`);
      if (!answer.ok || answer.redirected) return;
      const rows = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-end]");
      const atEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 30;
      setup.hidden &&= rows.children.length === 0;
      setup.dataset.end = rows.dataset.end;
      goesOn = rows.dataset.goesOn === "true";
      // A line that had no end yet comes again, with more of it.
      text.querySelector("[data-open]")?.remove();
      text.append(...rows.children);
      while (text.children.length > MAX_ROWS) text.firstElementChild.remove();
      if (atEnd) text.scrollTop = text.scrollHeight;
    }
  } finally {
    reading = false;
  }
}

function log() {
  const runs = document.getElementById("now").dataset.stage === "setup";
  if (runs && timer === null) {
    timer = setInterval(readLog, 1000);
    readLog();
  } else if (!runs && timer !== null) {
    clearInterval(timer);
    timer = null;
    readLog();
  }
}

text.scrollTop = text.scrollHeight;
showTarget();
if (page.dataset.live) {
  connect();
  log();
  follow.addEventListener("click", () => { following = true; follow.hidden = true; toEnd(); });
  // Only a reader's own movement ends the following, not the growing page.
  for (const kind of ["wheel", "touchmove", "keydown"]) {
    addEventListener(kind, () => setTimeout(() => {
      following = isAtEnd();
      follow.hidden = following;
    }, 120), { passive: true });
  }
}

// Sharing in a dialog: the forms of the page that is there for who has no scripts.
const dialog = document.getElementById("share");

async function showShare(answer) {
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const parts = page.getElementById("share-parts");
  if (!parts) return location.assign(document.querySelector("[data-share]").href);
  document.getElementById("share-parts").replaceWith(parts);
  offerCopies(parts);
  tick();
  if (!dialog.open) dialog.showModal();
  parts.querySelector("[role=status]")?.focus();
}

document.addEventListener("click", async (event) => {
  const link = event.target.closest("[data-share]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  showShare(await fetch(link.href, { headers: { accept: "text/html" } }));
});

dialog?.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.method === "dialog") return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  showShare(await fetch(form.action, { method: "POST", body, headers: { accept: "text/html" } }));
});
