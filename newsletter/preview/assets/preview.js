// The page of the preview: asks for news, shows it, and remembers how you look at it. All text is set as text.
"use strict";

const $ = (id) => document.getElementById(id);
const DEVICES = { desktop: ["Desktop", 680], phone: ["Phone", 375] };
const SCHEMES = { light: ["light"], dark: ["dark"], each: ["light", "dark"] };
const CYCLES = { device: ["both", "desktop", "phone"], scheme: ["light", "dark", "each"] };
const BASE = location.pathname;
const GRAVITY = ["error", "warning", "waived"];
const NOTES_MAX = 4;
const PICTURES_MS = 60;

let state = JSON.parse($("state").textContent);
let drawn = { mail: -1, look: "", file: "", number: -1 };
let nextNote = 0;
let showsAll = false;

// --- small things ----------------------------------------------------------------------------------------------------

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

const look = () => Object.fromEntries(new FormData($("controls")));

function size(bytes) {
  return bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;

async function post(wish, content) {
  const response = await fetch(BASE + wish, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content),
  });
  if (!response.ok) throw new Error((await response.text()).trim());
  return response.json();
}

function say(line, words, isWrong = false) {
  line.textContent = words;
  line.classList.toggle("wrong", isWrong);
}

// --- the page --------------------------------------------------------------------------------------------------------

function draw() {
  const { shown, failed } = state;
  drawStatus();
  drawIssues();
  drawProblems();
  drawFindings();
  $("devices").classList.toggle("stale", failed.length > 0);
  if (shown) {
    $("title").textContent = shown.title;
    $("text").textContent = shown.text;
    $("headers").textContent = shown.headers;
    drawInbox(shown);
    drawSize(shown.sizes);
    drawReader(shown);
  }
  drawView();
}

function drawStatus() {
  const { shown, failed } = state;
  const line = $("status");
  line.classList.toggle("bad", failed.length > 0);
  line.classList.toggle("good", Boolean(shown) && !failed.length);
  const errors = count(failed.length, "error", "errors");
  if (failed.length) line.textContent = shown ? `${errors} · below is the version of ${shown.at}` : errors;
  else line.textContent = shown ? `Version of ${shown.at}, compiled in ${shown.ms} ms` : "Compiling…";
  document.title = failed.length ? `✕ ${errors} · ${state.issue}` : `${state.issue} · preview`;
}

function drawIssues() {
  const select = $("issue");
  const known = [...select.options].map((option) => option.value).join("\n");
  if (known !== state.issues.join("\n")) {
    select.replaceChildren(...state.issues.map((slug) => make("option", { value: slug, textContent: slug })));
  }
  if (document.activeElement !== select) select.value = state.issue;
}

function noteButton(note) {
  const button = make("button", { type: "button", className: note.severity });
  const grave = { error: "Error", warning: "Warning", waived: "Waived" }[note.severity] || note.severity;
  button.append(make("span", { className: "grave", textContent: `${grave}: ` }), note.words);
  if (note.fix) button.append(make("span", { className: "fix", textContent: note.fix }));
  const place = note.file ? `${note.file}:${note.line}:${note.column}` : "";
  const rule = note.rule ? `[${note.rule}]` : "";
  if (place || rule) button.append(make("span", { className: "place", textContent: `${place} ${rule}`.trim() }));
  if (note.file && state.files.includes(note.file)) button.addEventListener("click", () => goTo(note));
  else button.disabled = true;
  return make("li", {}, button);
}

function drawProblems() {
  const { failed, shown } = state;
  $("problems").hidden = !failed.length;
  $("problems-line").textContent = shown ? "The mail below is the last good version. It follows as soon as this is mended." : "";
  $("problems-list").replaceChildren(...failed.map(noteButton));
}

const graveFirst = (notes) => [...notes].sort((one, other) => GRAVITY.indexOf(one.severity) - GRAVITY.indexOf(other.severity));

function drawFindings() {
  const notes = graveFirst(state.found);
  const number = (severity) => notes.filter((note) => note.severity === severity).length;
  const words = [];
  if (number("error")) words.push(count(number("error"), "error", "errors"));
  if (number("warning")) words.push(count(number("warning"), "warning", "warnings"));
  if (number("waived")) words.push(`${number("waived")} waived`);
  const rest = state.shown && !state.checked ? "Looking …" : "Nothing was found.";
  $("findings-line").textContent = words.length ? words.join(", ") : state.shown ? rest : "";
  const shown = showsAll ? notes : notes.slice(0, NOTES_MAX);
  $("findings").replaceChildren(...shown.map(noteButton));
  $("findings-more").hidden = notes.length <= NOTES_MAX;
  $("findings-more").textContent = showsAll ? "Show fewer" : `Show all ${notes.length}`;
}

function drawInbox(shown) {
  const snippet = shown.snippet || "(nothing)";
  const line = make("p", { className: "line" }, make("b", { textContent: shown.subject }), make("span", { textContent: ` – ${snippet}` }));
  $("row").replaceChildren(
    make("p", { className: "client", textContent: "Gmail" }), make("p", { className: "from", textContent: shown.sender }), line,
  );
  const card = (name, kind) => make("div", { className: kind },
    make("p", { className: "client", textContent: name }),
    make("div", { className: "card" },
      make("p", { className: "from", textContent: shown.sender }),
      make("p", { textContent: shown.subject }),
      make("p", { className: "more", textContent: snippet })));
  $("inbox").replaceChildren(card("Gmail, on a phone", "gmail"), card("Apple Mail, on a phone", "apple"));
  const letters = (text) => [...text].length;
  const to = shown.sendAt ? ` Goes out ${shown.sendAt}.` : "";
  $("inbox-line").textContent =
    `${count(letters(shown.subject), "character", "characters")} of subject, ${letters(shown.snippet)} behind it.${to}`;
}

function drawSize(sizes) {
  const share = sizes.html / state.clip;
  const bar = $("bar");
  bar.className = share > 1 ? "over" : share > 0.9 ? "near" : "";
  bar.setAttribute("aria-valuemax", state.clip);
  bar.setAttribute("aria-valuenow", Math.min(sizes.html, state.clip));
  bar.setAttribute("aria-valuetext", `${Math.round(share * 100)} percent of what Gmail shows`);
  $("level").style.width = `${Math.min(share, 1) * 100}%`;
  const rest = share > 1 ? `Gmail cuts it off at ${size(state.clip)}.` : `Gmail shows ${size(state.clip)}.`;
  $("size-line").textContent = `HTML ${size(sizes.html)}, ${Math.round(share * 100)} %. ${rest}`;
  const facts = [["Plain text", sizes.text], ["Pictures inside", sizes.pictures], ["Whole message", sizes.message]];
  $("sizes").replaceChildren(...facts.flatMap(([name, bytes]) => [
    make("dt", { textContent: name }), make("dd", { textContent: size(bytes) }),
  ]));
}

function drawReader(shown) {
  const select = $("reader");
  const { key, label } = state.reader;
  const isSubscriber = !["sample", "nameless"].includes(key);
  if (document.activeElement !== select && select.value !== "subscriber") select.value = isSubscriber ? "subscriber" : key;
  if (isSubscriber && !$("reader-line").classList.contains("wrong")) say($("reader-line"), `${label}; ${shown.variant}`);
  const fields = shown.fields.flatMap((field) => [
    make("dt", { textContent: field.name }),
    make("dd", { textContent: field.default ? `${field.value || "nothing"} (default)` : field.value }),
  ]);
  $("fields").replaceChildren(...fields);
  $("fields-none").hidden = fields.length > 0;
}

// --- the mail --------------------------------------------------------------------------------------------------------

function drawView() {
  const { view, device, scheme, images } = look();
  for (const id of ["text", "headers", "source"]) $(id).hidden = view !== id;
  $("devices").hidden = view !== "mail";
  $("row").hidden = view !== "mail" || !state.shown;
  for (const node of document.querySelectorAll(".mail-only")) node.hidden = view !== "mail";
  if (view === "source") drawSource();
  if (view !== "mail") return;
  if (!state.shown) {
    const words = state.failed.length ? "There is no good version yet." : "Compiling…";
    $("devices").replaceChildren(make("p", { className: "empty", textContent: words }));
    drawn.look = "";
    return;
  }
  const now = [device, scheme, images].join();
  if (now === drawn.look && state.mail === drawn.mail) return;
  if (now !== drawn.look) layOut(device, scheme);
  drawn = { ...drawn, look: now, mail: state.mail };
  for (const screen of document.querySelectorAll(".screen")) load(screen, images === "on");
}

function layOut(device, scheme) {
  const figures = [];
  for (const each of SCHEMES[scheme]) {
    for (const [name, [label, width]] of Object.entries(DEVICES)) {
      if (device !== "both" && device !== name) continue;
      const screen = make("div", { className: "screen" });
      Object.assign(screen.dataset, { device: name, scheme: each, width });
      sizes.observe(screen);
      figures.push(make("figure", { className: name }, make("figcaption", { textContent: `${label}, ${width} px, ${each}` }), screen));
    }
  }
  sizes.disconnect();
  const old = new Map([...document.querySelectorAll(".screen")].map((screen) => [key(screen), screen]));
  for (const figure of figures) {  // a frame that stays keeps its place in the mail
    const screen = figure.querySelector(".screen");
    screen.append(...(old.get(key(screen))?.childNodes || []));
  }
  $("devices").replaceChildren(...figures);
  for (const screen of document.querySelectorAll(".screen")) sizes.observe(screen);
}

const key = (screen) => `${screen.dataset.device} ${screen.dataset.scheme}`;

function load(screen, withImages) {
  const { device, scheme } = screen.dataset;
  const old = screen.querySelector("iframe:not(.coming)");
  screen.querySelector("iframe.coming")?.remove();
  const frame = make("iframe", { title: `The mail on a ${device}, ${scheme}`, className: "coming" });
  // No script can run in it; with its own origin kept, this page can put it back where it was scrolled to.
  frame.setAttribute("sandbox", "allow-same-origin allow-popups allow-popups-to-escape-sandbox");
  let isShown = false;
  const show = () => {
    if (isShown) return;
    isShown = true;
    frame.contentWindow.scrollTo(0, old?.contentWindow?.scrollY ?? 0);
    frame.classList.remove("coming");
    old?.remove();
    performance.mark("mail-shown", { detail: state.mail });
  };
  frame.addEventListener("load", show, { once: true });
  const soon = setInterval(() => {  // a picture that is far away must not hold the text up
    const page = frame.contentDocument;
    const isThere = page && page.URL !== "about:blank" && page.readyState !== "loading";
    if (isThere) setTimeout(show, PICTURES_MS);
    if (isThere || isShown || !frame.isConnected) clearInterval(soon);
  }, 15);
  const query = `scheme=${scheme}&images=${withImages ? "on" : "off"}`;
  frame.src = `${state.frames}/mail/${state.mail}?${query}`;
  screen.append(frame);
  fit(screen);
}

function fit(screen) {
  const width = Number(screen.dataset.width);
  const isWide = screen.dataset.device === "desktop" && screen.clientWidth > width;
  const scale = isWide ? 1 : Math.min(1, screen.clientWidth / width);
  for (const frame of screen.querySelectorAll("iframe")) {
    frame.style.width = isWide ? "100%" : `${width}px`;
    frame.style.height = `${screen.clientHeight / scale}px`;
    frame.style.transform = scale < 1 ? `scale(${scale})` : "none";
  }
}

const sizes = new ResizeObserver((entries) => entries.forEach((entry) => fit(entry.target)));

// --- the source ------------------------------------------------------------------------------------------------------

async function drawSource(wanted) {
  const select = $("file");
  if ([...select.options].map((option) => option.value).join("\n") !== state.files.join("\n")) {
    const former = select.value;
    select.replaceChildren(...state.files.map((name) => make("option", { value: name, textContent: name })));
    select.value = state.files.includes(former) ? former : state.files.find((name) => name.endsWith(`${state.issue}.md`)) || "";
  }
  if (wanted) select.value = wanted;
  const file = select.value;
  if (!file || (drawn.file === file && drawn.number === state.number)) return;
  const { number } = state;
  const response = await fetch(`${BASE}source?file=${encodeURIComponent(file)}`);
  if (!response.ok || select.value !== file) return;
  if (drawn.file === file && drawn.number === number) return;  // by another call, while this one waited
  const { text } = await response.json();
  const notes = [...state.failed, ...state.found].filter((note) => note.file === file);
  const lines = $("lines");
  const place = lines.scrollTop;
  const focused = lines.contains(document.activeElement) ? document.activeElement.dataset.line : 0;
  lines.replaceChildren(...text.split("\n").map((words, index) => sourceLine(words, index + 1, notes)));
  lines.scrollTop = place;
  if (focused) focusLine(focused);
  drawn = { ...drawn, file, number };
}

function sourceLine(words, number, notes) {
  const item = make("li", {}, words);
  item.dataset.line = number;
  for (const note of notes.filter((each) => each.line === number)) {
    item.classList.add("hit", note.severity);
    item.append(make("span", { className: "said", textContent: note.fix ? `${note.words} (${note.fix})` : note.words }));
  }
  return item;
}

async function goTo(note) {
  choose("view", "source");
  await drawSource(note.file);
  $("lines").children[note.line - 1]?.scrollIntoView({ block: "center" });
  focusLine(note.line);
}

function focusLine(number) {
  const line = $("lines").children[number - 1];
  if (!line) return;
  line.tabIndex = -1;
  line.focus({ preventScroll: true });
}

// --- wishes ----------------------------------------------------------------------------------------------------------

function choose(name, value) {
  const radio = document.querySelector(`input[name="${name}"][value="${value}"]`);
  radio.checked = true;
  drawView();
}

async function chooseReader(value) {
  try {
    await post("reader", { reader: value });
    say($("reader-line"), "");
  } catch (error) {
    say($("reader-line"), error.message, true);
  }
}

$("controls").addEventListener("change", drawView);
$("controls").addEventListener("submit", (event) => event.preventDefault());
$("file").addEventListener("change", () => drawSource());
$("issue").addEventListener("change", () => post("issue", { issue: $("issue").value }));
$("reader").addEventListener("change", () => {
  const { value } = $("reader");
  $("reader-ask").hidden = value !== "subscriber";
  if (value === "subscriber") $("reader-address").focus();
  else chooseReader(value);
});
$("reader-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("reader").value === "subscriber") chooseReader($("reader-address").value);
});
$("proof-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("proof").disabled = true;
  say($("proof-line"), "On its way …");
  try {
    const answer = await post("proof", { to: $("proof-to").value });
    say($("proof-line"), answer.words, !answer.accepted);
  } catch (error) {
    say($("proof-line"), error.message, true);
  }
  $("proof").disabled = false;
});
$("findings-more").addEventListener("click", () => {
  showsAll = !showsAll;
  drawFindings();
});
$("help").addEventListener("click", () => $("keys").showModal());

function turn(name) {
  const values = CYCLES[name];
  choose(name, values[(values.indexOf(look()[name]) + 1) % values.length]);
}

const ACTS = {
  m: () => choose("view", "mail"),
  t: () => choose("view", "text"),
  h: () => choose("view", "headers"),
  s: () => choose("view", "source"),
  p: () => turn("device"),
  d: () => turn("scheme"),
  i: () => { const box = document.querySelector("input[name=images]"); box.checked = !box.checked; drawView(); },
  n: () => {
    const notes = [...state.failed, ...graveFirst(state.found)].filter((note) => state.files.includes(note.file));
    if (notes.length) goTo(notes[nextNote++ % notes.length]);
  },
  r: () => $("reader").focus(),
  "?": () => $("keys").showModal(),
};

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input[type=email], select, textarea, dialog");
  if (!$("keys-on").checked || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = ACTS[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});

// --- news ------------------------------------------------------------------------------------------------------------

async function follow() {
  for (let failures = 0; ;) {
    try {
      const response = await fetch(`${BASE}state?after=${state.number}`);
      if (!response.ok) throw new Error();
      const news = await response.json();
      failures = 0;
      if (news.number !== state.number) {
        performance.mark("news");
        state = news;
        draw();
      }
    } catch {
      failures += 1;
      if (failures > 1) {
        $("status").className = "status bad";
        $("status").textContent = "The preview has ended. Start it again: newsletter preview";
      }
      await new Promise((resolve) => setTimeout(resolve, Math.min(failures, 5) * 500));
    }
  }
}

$("proof-to").value = state.proofTo;
draw();
follow();
