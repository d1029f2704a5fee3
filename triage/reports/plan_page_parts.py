"""The style and the script of a plan's page."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --ink: light-dark(#1f2328, #e6edf3); --quiet: light-dark(#59636e, #9198a1);
  --paper: light-dark(#fff, #0d1117); --line: light-dark(#d1d9e0, #3d444d); --shade: light-dark(#f6f8fa, #151b23);
  --right: light-dark(#0a6e7c, #39b3c4); --wrong: light-dark(#bfe3e8, #16414a);
  --stripe: light-dark(#8fc4cc, #2c6c78); --bad: light-dark(#b3261e, #ff8a80); }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 1180px; padding: 28px 24px 60px }
h1 { font-size: 26px; margin: 0 } h2 { font-size: 18px; margin: 0 0 8px }
header p, figcaption, .key { color: var(--quiet); margin: 4px 0 0; max-width: 100ch; font-size: 14px }
code { font-size: 13px }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px; padding: 0; margin: 20px 0 28px;
  list-style: none }
.tiles li { border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; color: var(--quiet);
  font-size: 14px; line-height: 1.35 }
.tiles b { display: block; color: var(--ink); font-size: 26px; font-weight: 600 }
figure { margin: 0 0 32px }
svg { display: block; width: 100%; max-width: 920px; margin: 8px 0; font-size: 13px }
svg text { fill: var(--ink); font-variant-numeric: tabular-nums } svg .name { text-anchor: end }
svg .quiet { fill: var(--quiet) } .hit { fill: transparent }
.right { fill: var(--right); background: var(--right) } .wrong { fill: var(--wrong); background: var(--wrong) }
.stripe { fill: var(--stripe); background: repeating-linear-gradient(45deg, var(--stripe) 0 3px, var(--wrong) 3px 6px) }
.bar { cursor: pointer } .bar:hover .hit, .bar:focus-visible .hit { fill: var(--shade) }
.key i { display: inline-block; width: 12px; height: 12px; border-radius: 2px; margin: 0 4px 0 12px;
  vertical-align: -1px } .key i:first-child { margin-left: 0 }
form { display: flex; flex-wrap: wrap; gap: 8px 18px; align-items: center; padding: 10px 0; position: sticky; top: 0;
  background: var(--paper); border-bottom: 1px solid var(--line); font-size: 14px; color: var(--quiet) }
select, input { font: inherit; padding: 3px 6px; border: 1px solid var(--line); border-radius: 6px;
  background: var(--paper); color: var(--ink); max-width: 230px } input[type=number] { width: 74px }
output { margin-left: auto }
table { width: 100%; border-collapse: collapse; table-layout: fixed; font-size: 14px }
th { text-align: left; font-weight: 600; padding: 8px 8px 8px 0; border-bottom: 1px solid var(--line); font-size: 13px }
th:nth-child(1) { width: 88px } th:nth-child(3) { width: 27% } th:nth-child(4) { width: 25% }
th button { all: unset; cursor: pointer } th button:focus-visible { outline: 2px solid var(--right) }
th[aria-sort=ascending] button::after { content: " ↑" } th[aria-sort=descending] button::after { content: " ↓" }
td { padding: 6px 8px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere }
td:first-child { font-variant-numeric: tabular-nums } a { color: var(--right) }
.tag { display: inline-block; border: 1px solid var(--line); border-radius: 20px; padding: 0 8px; margin: 0 4px 3px 0;
  background: var(--shade); font-size: 13px; unicode-bidi: isolate }
.tag small { color: var(--quiet); margin-left: 6px }
.missed { text-decoration: line-through; color: var(--bad) }
#more { font: inherit; margin: 16px 0; padding: 6px 14px; border: 1px solid var(--line); border-radius: 6px;
  background: var(--shade); color: var(--ink); cursor: pointer }
@media (max-width: 700px) { .tiles { grid-template-columns: repeat(2, 1fr) } }
"""

SCRIPT: Final = """
"use strict";
const { base, rows } = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const form = byId("controls"), heads = [...document.querySelectorAll("th[data-sort]")];
const PIECE = 200;
const FIRST = { number: "down", confidence: "up", disagreement: "down" };
let state, found, shown;

// Everything that is chosen stands in the address, so that a view can be sent to somebody.
function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  const sort = Object.hasOwn(FIRST, given.get("sort")) ? given.get("sort") : "number";
  state = { label: "", show: "planned", least: "0", find: "", sort, order: given.get("order") || FIRST[sort] };
  for (const name of ["label", "show", "least", "find"]) {
    if (given.has(name)) form.elements[name].value = given.get(name);
    state[name] = form.elements[name].value;
  }
}
function write() {
  for (const name of ["label", "show", "least", "find"]) state[name] = form.elements[name].value;
  const chosen = Object.entries(state).filter(([name, value]) => value && !(name === "least" && value === "0"));
  location.replace("#" + new URLSearchParams(chosen));
  draw();
}
function confidence([, , planned]) {
  const scores = planned.filter(([name]) => !state.label || name === state.label).map(([, score]) => score);
  return scores.length ? Math.min(...scores) : 0;
}
const disagreement = ([, , , carried]) => carried.filter(([, missed]) => missed).length;
function passes(row) {
  const [number, title, planned, carried] = row;
  const disputed = disagreement(row) > 0;
  const gets = planned.some(([name]) => !state.label || name === state.label);
  const lost = carried.some(([name, missed]) => missed && (!state.label || name === state.label));
  const words = state.find.trim().toLowerCase();
  const any = gets || lost;
  const kinds = { planned: gets, unlabelled: gets && !carried.length, disputed: disputed && any, all: any };
  return kinds[state.show] && confidence(row) >= Number(state.least)
    && (!words || String(number) === words.replace(/^#/, "") || title.toLowerCase().includes(words));
}
function draw() {
  const keys = { number: (row) => row[0], confidence, disagreement };
  const sign = state.order === "up" ? 1 : -1, key = keys[state.sort];
  found = rows.filter(passes).map((row) => [key(row), row]);
  found.sort(([a, one], [b, other]) => sign * (a - b) || other[0] - one[0]);
  for (const head of heads) {
    if (head.dataset.sort !== state.sort) head.removeAttribute("aria-sort");
    else head.setAttribute("aria-sort", state.order === "up" ? "ascending" : "descending");
  }
  byId("rows").replaceChildren();
  byId("count").textContent = `${found.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} issues`;
  shown = 0;
  more();
}
function more() {
  byId("rows").append(...found.slice(shown, shown + PIECE).map(([, row]) => line(row)));
  shown = Math.min(found.length, shown + PIECE);
  byId("more").hidden = shown === found.length;
}
function element(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}
function line([number, title, planned, carried]) {
  const row = document.createElement("tr"), cells = [0, 1, 2, 3].map(() => document.createElement("td"));
  const link = element("a", `#${number}`);
  link.href = base + number;
  link.rel = "noreferrer";
  cells[0].append(link);
  cells[1].textContent = title;
  cells[1].dir = "auto";
  cells[2].append(...planned.map(([name, score]) => {
    const tag = element("span", name, "tag");
    tag.append(element("small", score.toFixed(2)));
    return tag;
  }));
  cells[3].append(...carried.map(([name, missed]) => element("span", name, missed ? "tag missed" : "tag")));
  row.append(...cells);
  return row;
}
form.addEventListener("input", write);
form.addEventListener("submit", (event) => event.preventDefault());
for (const head of heads) {
  head.firstChild.addEventListener("click", () => {
    const sort = head.dataset.sort, again = sort === state.sort;
    state.sort = sort;
    state.order = again ? (state.order === "up" ? "down" : "up") : FIRST[sort];
    write();
  });
}
for (const bar of document.querySelectorAll(".bar")) {
  const choose = () => { form.elements.label.value = bar.dataset.label; write(); form.scrollIntoView(); };
  bar.addEventListener("click", choose);
  bar.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(); });
}
addEventListener("hashchange", () => { read(); draw(); });
byId("more").addEventListener("click", more);
read();
draw();
"""
