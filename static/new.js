// The form of a new task: drop a zip anywhere, send with Ctrl+Enter, see how far the upload is. Without it the form works too.
"use strict";

const form = document.getElementById("new-task");
const archive = document.getElementById("archive");
const clear = document.getElementById("clear-archive");
const send = document.getElementById("send");
const progress = document.getElementById("progress");
const progressText = document.getElementById("progress-text");
const problem = document.getElementById("problem");

function say(field, message) {
  const place = field ? document.querySelector(`[data-error-for="${field}"]`) : problem;
  place.textContent = message;
  place.hidden = !message;
}

function isSmallEnough() {
  const file = archive.files[0];
  const fits = !file || file.size <= Number(form.dataset.maxBytes);
  say("archive", fits ? "" : tr("the archive is larger than {limit}, the limit of this server", { limit: form.dataset.maxText }));
  return fits;
}

archive.addEventListener("change", () => {
  clear.hidden = archive.files.length === 0;
  isSmallEnough();
});
clear.addEventListener("click", () => {
  archive.value = "";
  archive.dispatchEvent(new Event("change"));
});

// A URL is judged by the server while it is typed; once it is a good one, its branches and tags are offered.
const url = document.getElementById("git_url");
const ref = document.getElementById("git_ref");
const refs = document.getElementById("refs");
const urlState = document.getElementById("git_url-state");
let asking = null;
let pause = 0;
let listed = null;

async function ask(more) {
  const body = new URLSearchParams({ git_url: url.value.trim(), ...more });
  const answer = await fetch("/new/repository", { method: "POST", body, signal: asking.signal });
  return answer.ok && !answer.redirected ? answer.json() : null;
}

const wait = (ms) => new Promise((done) => { clearTimeout(pause); pause = setTimeout(done, ms); });

async function lookAtUrl() {
  asking?.abort();
  asking = new AbortController();
  const typed = url.value.trim();
  if (typed === listed) return;
  urlState.textContent = "";
  refs.replaceChildren();
  ref.placeholder = ref.dataset.placeholder;
  listed = null;
  try {
    await wait(300);
    if (!typed) return say("git_url", "");
    const judged = await ask({});
    if (!judged) return;
    say("git_url", judged.error ?? "");
    if (judged.error) return;
    await wait(400);
    urlState.textContent = tr("looking for branches and tags");
    const found = await ask({ refs: "yes" });
    if (!found) return void (urlState.textContent = "");
    urlState.textContent = found.remark ?? tr("{n} branches and tags", { n: found.refs.length });
    if (found.remark) return;
    listed = typed;
    refs.replaceChildren(...found.refs.map((name) => Object.assign(document.createElement("option"), { value: name })));
    if (found.default) ref.placeholder = found.default;
  } catch (error) {
    // Typed on meanwhile, or no connection: sending the form will tell.
    if (error.name !== "AbortError") urlState.textContent = "";
  }
}
url.addEventListener("input", lookAtUrl);
if (url.value) lookAtUrl();

for (const recent of document.querySelectorAll(".recent a")) {
  recent.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    url.value = recent.dataset.url;
    ref.value = recent.dataset.ref;
    say("source", "");
    lookAtUrl();
    url.focus();
  });
}

let depth = 0;
const holdsFiles = (event) => [...event.dataTransfer.types].includes("Files");
addEventListener("dragenter", (event) => { if (holdsFiles(event)) { depth += 1; document.body.dataset.drop = form.dataset.drop; document.body.classList.add("dropping"); } });
addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); if (depth === 0) document.body.classList.remove("dropping"); });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  document.body.classList.remove("dropping");
  if (event.dataTransfer.files.length > 0) {
    archive.files = event.dataTransfer.files;
    archive.dispatchEvent(new Event("change"));
  }
});

addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  }
});

function stopped(message) {
  send.disabled = false;
  progress.hidden = true;
  progressText.textContent = "";
  if (message) say(null, message);
}

// The answer to a refused form is the form with its messages; they are taken over, so that the chosen file stays.
function takeOver(html) {
  const answer = new DOMParser().parseFromString(html, "text/html");
  let first = null;
  for (const place of document.querySelectorAll("[data-error-for]")) {
    const message = answer.getElementById(place.id)?.textContent ?? "";
    say(place.dataset.errorFor, message);
    if (!message) continue;
    first ??= place;
    const folded = place.closest("details");
    if (folded) folded.open = true;
  }
  const general = answer.getElementById("problem")?.textContent.trim() || (first ? "" : tr("The server refused the task."));
  stopped(general);
  first?.scrollIntoView({ block: "center" });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!isSmallEnough()) return;
  say(null, "");
  send.disabled = true;
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.setRequestHeader("accept", "text/html");
  if (archive.files.length > 0) {
    progress.hidden = false;
    request.upload.addEventListener("progress", (sent) => {
      if (!sent.lengthComputable) return;
      progress.value = sent.loaded / sent.total;
      progressText.textContent = sent.loaded < sent.total ? `${Math.round(100 * progress.value)} %` : tr("checking the archive");
    });
  }
  request.addEventListener("load", () => {
    if (request.status < 400) location.assign(request.responseURL);
    else takeOver(request.responseText);
  });
  request.addEventListener("error", () => stopped(tr("The upload broke off. Check the connection, then send it again.")));
  request.send(new FormData(form));
});
// Coming back to this page from the task, the form can be sent again.
addEventListener("pageshow", () => stopped(""));
