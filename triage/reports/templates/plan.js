// data: the plan's header, its entries that set or dispute a label, and what is expected of it; see `page` in
// plan_report.py. A label is chosen while it is ticked and its probability reaches the slider: what is chosen is saved.
const { server, header, expected, labels, rows } = data;
const controls = { least: byId("least") };
for (const name of ["label", "show", "find"]) controls[name] = byId("filters").elements[name];
const heads = [...document.querySelectorAll("th[data-sort]")];
const PAGE_SIZE = 200, BARS = 24;
const FIRST_ORDER = { number: "down", confidence: "up", disagreement: "down" };
const state = {};
const unticked = new Set();
let matching = [], saved = true;

const key = (row, label) => `${row.number} ${label}`;
const labelsOf = (row) => row.labels || [];
const reaches = (row, label) => row.scores[label] >= Number(state.least);
const isChosen = (row, label) => reaches(row, label) && !unticked.has(key(row, label));
const chosen = (row) => labelsOf(row).filter((label) => isChosen(row, label));
const urlOf = (number, repo) => `${server}/${repo || header.repo}/issues/${number}`;

// The address holds filters and order, so that a view can be shared as a link.
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  state.sort = Object.hasOwn(FIRST_ORDER, given.get("sort")) ? given.get("sort") : "number";
  state.order = given.get("order") || FIRST_ORDER[state.sort];
  for (const [name, control] of Object.entries(controls)) {
    if (given.has(name)) control.value = given.get(name);
    state[name] = control.value;
  }
}
function writeAddress() {
  for (const [name, control] of Object.entries(controls)) state[name] = control.value;
  const used = Object.entries(state).filter(([name, value]) => value && !(name === "least" && value === controls.least.min));
  location.replace("#" + new URLSearchParams(used));
  draw();
}

const isWanted = (label) => !state.label || label === state.label;
const shownLabels = (row) => labelsOf(row).filter((label) => isWanted(label) && reaches(row, label));
const disputedOf = (row) => row.missed || [];
const KEYS = {
  number: (row) => row.number,
  confidence: (row) => Math.min(...shownLabels(row).map((label) => row.scores[label]), 1),
  disagreement: (row) => disputedOf(row).length,
};
function matches(row) {
  const planned = shownLabels(row).length > 0;
  const disputed = disputedOf(row).some(isWanted);
  const all = planned || (disputed && state.least === controls.least.min);
  const views = {
    planned,
    unlabelled: planned && !(row.existing || []).length,
    disputed: all && disputedOf(row).length > 0,
    all,
  };
  const query = state.find.trim().toLowerCase();
  return views[state.show]
    && (!query || String(row.number) === query.replace(/^#/, "") || (row.title || "").toLowerCase().includes(query));
}

function draw() {
  const sign = state.order === "up" ? 1 : -1, of = KEYS[state.sort];
  matching = rows.filter(matches).map((row) => ({ row, at: of(row) }));
  matching.sort((a, b) => sign * (a.at - b.at) || b.row.number - a.row.number);
  markSorted(heads, state);
  byId("count").textContent = `${count(matching.length)} of ${many(rows.length, "issue")}`;
  byId("nothing").hidden = matching.length > 0;
  showRows(matching.map(({ row }) => row));
  tally();
}

// Counts, and how many should be right: the plan's own estimate, moved as the mean probability of what is chosen moves.
function tally() {
  const planned = new Map(labels.map(({ name }) => [name, 0]));
  let labelled = 0, total = 0, sum = 0, all = 0, everything = 0;
  for (const row of rows) {
    const kept = chosen(row);
    labelled += kept.length > 0;
    total += kept.length;
    for (const label of kept) {
      sum += row.scores[label];
      planned.set(label, planned.get(label) + 1);
    }
    for (const label of labelsOf(row)) [all, everything] = [all + row.scores[label], everything + 1];
  }
  byId("floor").textContent = Number(state.least).toFixed(2);
  byId("labelled").textContent = count(labelled);
  byId("planned").textContent = count(total);
  byId("save").disabled = !total;
  byId("saving").textContent = total ? `${many(total, "label")} on ${many(labelled, "issue")}` : "Nothing is chosen.";
  if (expected && total) {
    const share = Math.min(1, expected.share * (sum / total) / (all / everything));
    const measured = expected.labels * total / everything;
    const [low, high] = wilson(share * measured, measured);
    byId("right").textContent = percent(share);
    byId("interval").textContent = ` (${percent(low)} to ${percent(high)})`;
  } else {
    byId("right").textContent = "?";
    byId("interval").textContent = "";
  }
  drawBars(planned);
}

const bars = labels.filter(({ planned }) => planned).map((label, i) => {
  const item = element("li"), button = element("button"), track = element("div", "", "track");
  const bar = element("div", "", "bar"), number = element("span"), part = element("div", "", "right");
  button.type = "button";
  button.title = "Show only issues that get this label";
  button.append(tagOf(label.name, header.colors));
  bar.classList.add(label.reliable === null ? "stripe" : "wrong");
  part.style.width = `${100 * (label.reliable || 0)}%`;
  if (label.reliable !== null) bar.append(part);
  track.append(bar, number);
  item.append(button, track, element("span", label.promise, "quiet"));
  item.hidden = i >= BARS;
  button.addEventListener("click", () => {
    controls.label.value = label.name;
    writeAddress();
    byId("filters").scrollIntoView();
  });
  return { label, item, bar, number };
});
function drawBars(planned) {
  const most = Math.max(1, ...bars.map(({ label }) => label.planned));
  for (const { label, bar, number } of bars) {
    // Room for the count is left at the end of the longest bar.
    bar.style.width = `calc((100% - 6ch) * ${planned.get(label.name) / most})`;
    number.textContent = count(planned.get(label.name));
  }
}

function choice(row, label) {
  const tag = element("label", "", "tag"), box = element("input"), name = element("span", label);
  const dress = () => {
    box.disabled = !reaches(row, label);
    box.checked = isChosen(row, label);
    tag.className = box.checked ? "tag" : "tag off";
    tag.removeAttribute("style");
    if (box.checked) paint(tag, colorOf(header.colors, label));
  };
  box.type = "checkbox";
  box.addEventListener("change", () => {
    set(row, label, box.checked);
    dress();
    tally();
  });
  const rule = row.rules && row.rules[label];
  tag.append(box, name, " ", element("small", rule ? `rule ${rule}` : row.scores[label].toFixed(2)));
  dress();
  return tag;
}
function set(row, label, on) {
  if (on) unticked.delete(key(row, label));
  else unticked.add(key(row, label));
  saved = false;
}
function setAll(on) {
  for (const { row } of matching) for (const label of shownLabels(row)) set(row, label, on);
  draw();
}

function tableRow(row) {
  const made = element("tr"), number = element("td"), title = element("td", row.title, "title");
  const gets = element("td"), carries = element("td");
  title.dir = "auto";
  gets.dataset.name = "Would get";
  carries.dataset.name = "Has";
  number.append(link(urlOf(row.number), `#${row.number}`));
  gets.append(...labelsOf(row).map((label) => choice(row, label)));
  if (row.neighbours) gets.append(whyButton(row, made));
  carries.append(...(row.existing || []).map((label) => {
    const disputed = disputedOf(row).includes(label);
    return tagOf(label, header.colors, disputed ? "tag disputed" : "tag");
  }));
  made.append(number, title, gets, carries);
  return made;
}
function whyButton(row, above) {
  const button = element("button", "why?", "plain");
  let below = null;
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-label", `why issue ${row.number}?`);
  button.addEventListener("click", () => {
    if (below) below.remove();
    else above.after(whyRow(row));
    below = below ? null : above.nextElementSibling;
    button.setAttribute("aria-expanded", String(below !== null));
  });
  return button;
}
function whyRow(row) {
  const made = element("tr", "", "why"), cell = element("td"), list = element("ul");
  cell.colSpan = 4;
  list.append(...row.neighbours.map(({ repo, number, similarity, labels: carried }) => {
    const item = element("li"), tags = element("span");
    tags.append(...carried.flatMap((name) => [tagOf(name, header.colors), " "]));
    item.append(link(urlOf(number, repo), `${repo}#${number}`), element("b", similarity.toFixed(2)), tags);
    return item;
  }));
  const held = Object.entries(row.held_back || {}).map(([name, reason]) => element("p", `${name} is held back: ${reason}`, "quiet"));
  cell.append(element("p", "The most similar issues that voted, with their similarity and labels:", "quiet"), list, ...held);
  made.append(cell);
  return made;
}

// A plan that `backfill/plan.py` reads: the header as it was, the entries with what is chosen of them, and its very
// last line.
function planText() {
  const entries = rows.map((row) => ({ row, labels: chosen(row) })).filter((each) => each.labels.length);
  const lines = entries.map(({ row, labels: kept }) => ({
    ...row,
    labels: kept,
    scores: Object.fromEntries(kept.map((label) => [label, row.scores[label]])),
  }));
  return [header, ...lines].map((line) => `${JSON.stringify(line)}\n`).join("") + '{"complete": true}\n';
}
function save() {
  const file = document.createElement("a");
  file.href = URL.createObjectURL(new Blob([planText()], { type: "application/jsonl" }));
  file.download = "reviewed-plan.jsonl";
  file.click();
  setTimeout(() => URL.revokeObjectURL(file.href), 1000);
  saved = true;
}

const showRows = pieces(byId("rows"), byId("more"), PAGE_SIZE, tableRow);
const lowest = rows.reduce((least, row) => Math.min(least, ...Object.values(row.scores || {})), 1);
controls.least.min = controls.least.value = String(Math.floor(100 * lowest) / 100);
byId("bars").append(...bars.map(({ item }) => item));
byId("more-bars").hidden = bars.length <= BARS;
byId("more-bars").addEventListener("click", () => {
  for (const { item } of bars) item.hidden = false;
  byId("more-bars").hidden = true;
});
for (const form of [byId("controls"), byId("filters")]) {
  form.addEventListener("input", writeAddress);
  form.addEventListener("submit", (event) => event.preventDefault());
}
sortable(heads, FIRST_ORDER, state, writeAddress);
byId("save").addEventListener("click", save);
byId("tick").addEventListener("click", () => setAll(true));
byId("untick").addEventListener("click", () => setAll(false));
byId("reset").addEventListener("click", () => {
  byId("filters").reset();
  controls.least.value = controls.least.min;
  writeAddress();
});
// A tick is work: leaving with some that are not saved asks first.
addEventListener("beforeunload", (event) => { if (!saved) event.preventDefault(); });
addEventListener("hashchange", () => { readAddress(); draw(); });
readAddress();
draw();
