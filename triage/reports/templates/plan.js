"use strict";
// rows: [{number, title, planned: [{label, score}], existing: [{label, disputed}]}], see `_row` in plan_report.py
const { base, rows } = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const form = byId("controls");
const heads = [...document.querySelectorAll("th[data-sort]")];
const PAGE_SIZE = 200;
const FILTERS = ["label", "show", "least", "find"];
const FIRST_ORDER = { number: "down", confidence: "up", disagreement: "down" };
let state, matching, shown;

// The address holds filters and order, so that a view can be shared as a link.
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const sort = Object.hasOwn(FIRST_ORDER, given.get("sort")) ? given.get("sort") : "number";
  state = { sort, order: given.get("order") || FIRST_ORDER[sort] };
  for (const name of FILTERS) {
    if (given.has(name)) form.elements[name].value = given.get(name);
    state[name] = form.elements[name].value;
  }
}
function writeAddress() {
  for (const name of FILTERS) state[name] = form.elements[name].value;
  const used = Object.entries(state).filter(([name, value]) => value && !(name === "least" && value === "0"));
  location.replace("#" + new URLSearchParams(used));
  draw();
}

const isChosen = (label) => !state.label || label === state.label;
function confidence(row) {
  const scores = row.planned.filter(({ label }) => isChosen(label)).map(({ score }) => score);
  return scores.length ? Math.min(...scores) : 0;
}
const disagreement = (row) => row.existing.filter(({ disputed }) => disputed).length;
const KEYS = { number: (row) => row.number, confidence, disagreement };

function matches(row) {
  const planned = row.planned.some(({ label }) => isChosen(label));
  const disputed = row.existing.some(({ label, disputed }) => disputed && isChosen(label));
  const all = planned || disputed;
  const views = {
    planned,
    unlabelled: planned && !row.existing.length,
    disputed: all && disagreement(row) > 0,
    all,
  };
  const query = state.find.trim().toLowerCase();
  return views[state.show] && confidence(row) >= Number(state.least)
    && (!query || String(row.number) === query.replace(/^#/, "") || row.title.toLowerCase().includes(query));
}
function draw() {
  const sign = state.order === "up" ? 1 : -1, key = KEYS[state.sort];
  matching = rows.filter(matches).map((row) => ({ row, key: key(row) }));
  matching.sort((a, b) => sign * (a.key - b.key) || b.row.number - a.row.number);
  for (const head of heads) {
    if (head.dataset.sort !== state.sort) head.removeAttribute("aria-sort");
    else head.setAttribute("aria-sort", state.order === "up" ? "ascending" : "descending");
  }
  byId("rows").replaceChildren();
  byId("count").textContent = `${matching.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} issues`;
  shown = 0;
  showMore();
}
function showMore() {
  byId("rows").append(...matching.slice(shown, shown + PAGE_SIZE).map(({ row }) => tableRow(row)));
  shown = Math.min(matching.length, shown + PAGE_SIZE);
  byId("more").hidden = shown === matching.length;
}

// Titles and names of labels come from strangers: they become elements by `textContent` alone.
function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}
function tableRow({ number, title, planned, existing }) {
  const link = element("a", `#${number}`);
  link.href = base + number;
  link.rel = "noreferrer";
  const titleCell = element("td", title);
  titleCell.dir = "auto";
  const tags = planned.map(({ label, score }) => {
    const tag = element("span", label, "tag");
    tag.append(element("small", score.toFixed(2)));
    return tag;
  });
  const carried = existing.map(({ label, disputed }) => element("span", label, disputed ? "tag disputed" : "tag"));
  const cells = [[link], tags, carried].map((children) => {
    const cell = document.createElement("td");
    cell.append(...children);
    return cell;
  });
  const row = document.createElement("tr");
  row.append(cells[0], titleCell, cells[1], cells[2]);
  return row;
}

form.addEventListener("input", writeAddress);
form.addEventListener("submit", (event) => event.preventDefault());
for (const head of heads) {
  head.firstChild.addEventListener("click", () => {
    const sort = head.dataset.sort;
    const reversed = state.order === "up" ? "down" : "up";
    state.order = sort === state.sort ? reversed : FIRST_ORDER[sort];
    state.sort = sort;
    writeAddress();
  });
}
for (const bar of document.querySelectorAll(".bar")) {
  const choose = () => {
    form.elements.label.value = bar.dataset.label;
    writeAddress();
    form.scrollIntoView();
  };
  bar.addEventListener("click", choose);
  bar.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(); });
}
addEventListener("hashchange", () => { readAddress(); draw(); });
byId("more").addEventListener("click", showMore);
readAddress();
draw();
