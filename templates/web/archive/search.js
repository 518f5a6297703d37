// Search over the archive, in the browser alone: every word asked for must stand in the headline or the text.
// Accents and case do not count; Chinese needs no spaces. The index (search-index.js) is an array called ARCHIVE.
"use strict";
(function () {
  const limit = 50;
  const form = document.getElementById("search");
  const field = document.getElementById("q");
  const count = document.getElementById("count");
  const found = document.getElementById("found");
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  let index = null;

  function folded() {
    index = index || ARCHIVE.map((entry) => ({ entry, title: plain(entry.t), all: plain(entry.t + "\n" + entry.x) }));
    return index;
  }

  function matches(words) {
    const hits = folded().filter((one) => words.every((word) => one.all.includes(word)));
    const rank = (one) => (words.every((word) => one.title.includes(word)) ? 0 : 1);
    return hits.map((one) => [rank(one), one.entry]).sort((a, b) => a[0] - b[0]).map((pair) => pair[1]);
  }

  function around(text, words) {
    const at = Math.max(0, Math.min(...words.map((word) => plain(text).indexOf(word)).filter((place) => place >= 0)));
    const start = Number.isFinite(at) ? Math.max(0, at - 60) : 0;
    return (start ? "…" : "") + text.slice(start, start + 180).trim() + (start + 180 < text.length ? "…" : "");
  }

  function row(entry, words) {
    const item = document.createElement("li");
    const folio = document.createElement("p");
    folio.className = "folio";
    folio.textContent = entry.d;
    const head = document.createElement("h2");
    const link = document.createElement("a");
    link.href = entry.u;
    link.textContent = entry.t;
    head.append(link);
    const text = document.createElement("p");
    text.className = "pre";
    text.textContent = around(entry.x, words);
    if (entry.l) head.lang = text.lang = entry.l;
    item.append(folio, head, text);
    return item;
  }

  function show() {
    const words = plain(field.value).split(/\s+/).filter(Boolean);
    const hits = words.length ? matches(words) : [];
    const told = hits.length === 1 ? count.dataset.one : count.dataset.many.replace("{count}", hits.length);
    const more = hits.length > limit ? " " + count.dataset.more.replace("{count}", limit) : "";
    count.textContent = !words.length ? "" : hits.length ? told + more : count.dataset.none;
    found.replaceChildren(...hits.slice(0, limit).map((entry) => row(entry, words)));
  }

  form.hidden = false;
  field.value = new URLSearchParams(location.search).get("q") || "";
  form.addEventListener("submit", (event) => { event.preventDefault(); show(); });
  field.addEventListener("input", show);
  field.focus();
  show();
})();
