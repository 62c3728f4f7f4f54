// The page of a patch: lines come when they are looked at, links to lines, the filter of the files, keys.
"use strict";

const diff = document.getElementById("diff");
const remarkForm = document.getElementById("remark-form");
const files = diff ? [...diff.querySelectorAll(".file")] : [];

// Pieces that were not sent with the page take their room at once, so that the bar at the side tells the truth.
const LINE_HEIGHT = 19;
const near = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) load(entry.target);
}, { rootMargin: "1500px" });

function expect(piece) {
  piece.style.minHeight = `${Number(piece.dataset.rows) * LINE_HEIGHT}px`;
  near.observe(piece);
}

// What is far from the window is neither laid out nor painted.
function rest(piece) {
  piece.style.contentVisibility = "auto";
  piece.style.containIntrinsicBlockSize = `auto ${piece.childElementCount * LINE_HEIGHT}px`;
}

// Who scrolls quickly passes many pieces: two come at a time, the one that was met last first, and none that is far by then.
const wanted = [];
let coming = 0;
const FAR = 2500;
async function load(piece) {
  near.unobserve(piece);
  wanted.push(piece);
  while (coming < 2 && wanted.length > 0) {
    const next = wanted.pop();
    if (!next.isConnected) continue;
    if (distance(next) > FAR) {
      near.observe(next);
      continue;
    }
    coming += 1;
    // What did not come keeps its link.
    await bring(next).catch(() => {});
    coming -= 1;
  }
}

async function bring(waiting) {
  const fresh = await fetchPiece(waiting.closest(".file"), `from=${waiting.dataset.from}`);
  if (fresh && waiting.isConnected) put(waiting, fresh);
}

async function fetchPiece(file, which) {
  const answer = await fetch(`${file.dataset.src}?only=piece&view=${diff.dataset.view}${diff.dataset.more}&${which}`);
  if (!answer.ok || answer.redirected) return null;
  return document.adoptNode(new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".lines"));
}

// The pieces that came after the page, with what waits in their place when they go again: a browser that holds a hundred
// thousand lines is slow.
const came = new Map();
const MOST_ROWS = 6000;
function put(waiting, fresh) {
  near.unobserve(waiting);
  rest(fresh);
  waiting.replaceWith(fresh);
  came.set(fresh, waiting);
  let rows = [...came.values()].reduce((sum, { dataset }) => sum + Number(dataset.rows), 0);
  if (rows <= MOST_ROWS) return;
  const farthest = [...came.keys()].map((piece) => [distance(piece), piece]).sort(([a], [b]) => b - a);
  for (const [, piece] of farthest) {
    if (rows <= MOST_ROWS / 2) break;
    if (piece === fresh || isInUse(piece)) continue;
    rows -= Number(came.get(piece).dataset.rows);
    forget(piece);
  }
}

function forget(piece) {
  const waiting = came.get(piece);
  came.delete(piece);
  const { height } = piece.getBoundingClientRect();
  if (height > 0) waiting.style.minHeight = `${height}px`;
  piece.replaceWith(waiting);
  near.observe(waiting);
}

// What is marked, selected or focused stays.
function isInUse(piece) {
  const selection = getSelection();
  const isSelected = !selection.isCollapsed && selection.containsNode(piece, true);
  return isSelected || piece.contains(document.activeElement) || piece.querySelector(".marked") !== null;
}

// From the window, in pixels; what is folded away is nowhere.
function distance(piece) {
  const { top, bottom, height } = piece.getBoundingClientRect();
  return height === 0 ? Infinity : Math.max(0, -bottom, top - innerHeight);
}

for (const piece of diff ? diff.querySelectorAll(".later") : []) expect(piece);
// What is seen at once stays as it is, or it would move when its true height is known. Places first: each change would have
// them reckoned again.
const sent = diff ? [...diff.querySelectorAll(".lines")].map((piece) => [piece, distance(piece)]) : [];
for (const [piece, away] of sent) if (away > innerHeight) rest(piece);

// #FILE-R12 is a line, #FILE-R12-R20 a range of them; both may be on their way still.
function place() {
  const [, file, side, first, last] = location.hash.match(/^#(f[0-9a-f]{8})(?:-([LR])(\d+)(?:-[LR](\d+))?)?$/) ?? [];
  for (const marked of document.querySelectorAll(".lines .marked")) marked.classList.remove("marked");
  return file ? { file: document.getElementById(file), side, first: Number(first), last: Number(last || first) } : null;
}

async function show() {
  const { file, side, first, last } = place() ?? {};
  if (!file) return;
  file.querySelector("details").open = true;
  if (!side) return file.scrollIntoView();
  if (!document.getElementById(`${file.id}-${side}${first}`)) {
    const piece = await fetchPiece(file, `line=${side}${first}`);
    const waiting = piece && file.querySelector(`.later[data-from="${piece.dataset.from}"]`);
    if (!waiting) return;
    put(waiting, piece);
  }
  mark(file, side, first, last);
  const number = document.getElementById(`${file.id}-${side}${first}`);
  if (!number) return;
  number.scrollIntoView({ block: "center" });
  offer(number);
}

function mark(file, side, first, last) {
  for (let line = Math.min(first, last); line <= Math.max(first, last) && line < first + 5000; line++)
    document.getElementById(`${file.id}-${side}${line}`)?.parentElement.classList.add("marked");
}

addEventListener("hashchange", show);
if (diff) show();

document.addEventListener("click", (event) => {
  const number = event.target.closest(".lines a[id]");
  if (!number || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const [file, line] = number.id.split("-");
  const before = event.shiftKey ? place() : null;
  const isSame = before?.file?.id === file && before.side === line[0];
  const range = isSame ? [before.first, Number(line.slice(1))].sort((a, b) => a - b) : [Number(line.slice(1))];
  history.replaceState(null, "", `#${file}-${range.map((at) => line[0] + at).join("-")}`);
  place();
  mark(document.getElementById(file), line[0], range[0], range.at(-1));
  offer(number);
});

// A remark begins at the line that was clicked; without scripts there is a field for its number.
function offer(number) {
  document.querySelector(".remark-here")?.remove();
  if (!remarkForm) return;
  const button = document.createElement("button");
  button.className = "remark-here";
  button.textContent = remarkForm.dataset.offer;
  button.addEventListener("click", () => begin(number));
  number.parentElement.append(button);
}

function begin(number) {
  // One at a time: what was typed is not lost.
  const begun = document.querySelector(".lines .remark");
  if (begun?.elements.text.value) return begun.elements.text.focus();
  begun?.remove();
  const form = document.importNode(remarkForm.content, true).querySelector("form");
  const [file, line] = number.id.split("-");
  form.elements.path.value = document.getElementById(file).dataset.path;
  form.elements.line.value = line;
  form.querySelector("[data-gives-up]").addEventListener("click", () => {
    form.remove();
    number.focus();
  });
  number.parentElement.after(form);
  form.elements.text.focus();
}

// The files
const filter = document.getElementById("filter");
if (filter) {
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const file of files) file.hidden = !file.dataset.path.toLowerCase().includes(wanted);
    for (const link of diff.querySelectorAll(".tree a")) link.parentElement.hidden = document.getElementById(link.hash.slice(1)).hidden;
    for (const folder of [...diff.querySelectorAll(".tree li:has(> details)")].reverse())
      folder.hidden = !folder.querySelector("li:not([hidden])");
  });
}

// Keys
function step(places, direction) {
  const top = 60;
  const tops = places.map((place) => place.getBoundingClientRect().top - top);
  const at = direction > 0 ? tops.findIndex((top) => top > 2) : tops.findLastIndex((top) => top < -2);
  if (at >= 0) scrollBy({ top: tops[at] });
}

function changes() {
  const isChanged = (row) => row?.querySelector(":scope > ins, :scope > del");
  return [...diff.querySelectorAll(".lines > div:not(.heading)")].filter((row) => isChanged(row) && !isChanged(row.previousElementSibling));
}

const moves = {
  "diff:j": () => step(files.filter((file) => !file.hidden), 1),
  "diff:k": () => step(files.filter((file) => !file.hidden), -1),
  "diff:]": () => step(changes(), 1),
  "diff:[": () => step(changes(), -1),
  "diff:c": () => document.querySelector(".remark-here")?.click(),
  "diff:v": () => document.querySelector(".choice-of-view a:not([aria-current])").click(),
};
if (diff) document.addEventListener("key", (event) => moves[event.detail]?.());

// In two columns a selection takes the lines of one.
document.addEventListener("mousedown", (event) => {
  const lines = event.target.closest(".split");
  const cell = event.target.closest(".split > div > *");
  if (lines && cell) diff.dataset.selects = [...cell.parentElement.children].indexOf(cell) < 2 ? "left" : "right";
});
