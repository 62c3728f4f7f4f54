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

// Every element of a piece has an id: it takes the place of the one on the page, or goes on with the story.
function place(html) {
  const pieces = new DOMParser().parseFromString(html, "text/html").body;
  for (const piece of [...pieces.children]) {
    const there = piece.id && document.getElementById(piece.id);
    if (there) {
      const details = there.querySelector(":scope > details");
      const isOpen = details && details.dataset.touched ? details.open : null;
      there.replaceWith(piece);
      const fresh = piece.querySelector(":scope > details");
      if (fresh && isOpen !== null) { fresh.open = isOpen; fresh.dataset.touched = "yes"; }
    } else if (piece.localName === "li") {
      story.append(piece);
    }
  }
}

// What a reader opened or closed stays so when the piece is replaced.
document.addEventListener("click", (event) => {
  const summary = event.target.closest("summary");
  if (summary) summary.parentElement.dataset.touched = "yes";
});

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

// The setup log is a file that grows: what is beyond the known offset is fetched while setup runs, and once after it.
const setup = document.getElementById("setup");
const text = document.getElementById("setup-text");
const decoder = new TextDecoder();
let offset = Number(setup.dataset.offset);
let reading = false;
let timer = null;

// As the server does (pages/terminal.rs): what was meant for a terminal is taken away.
function plain(chunk) {
  return chunk
    .replace(/\x1b\[[0-?]*[ -\/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -\/]*[0-~]/g, "")
    .replace(/[^\n]*\r(?!\n)/g, "")
    .replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "");
}

async function readLog() {
  if (reading) return;
  reading = true;
  try {
    // From the last known byte on: there is always one to send, so that no growth is no error.
    const known = Math.min(offset, 1);
    const answer = await fetch(setup.dataset.log, { headers: { range: `bytes=${offset - known}-` } });
    if (answer.status !== 206) return;
    const bytes = new Uint8Array(await answer.arrayBuffer()).subarray(known);
    offset += bytes.length;
    setup.hidden = false;
    const atEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 30;
    text.append(plain(decoder.decode(bytes, { stream: true })));
    if (atEnd) text.scrollTop = text.scrollHeight;
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
