// data: what each method says of the test issues; see `tested` in study/report.py. Scores are in ten-thousandths.
const { server, names, methods, issues, cut } = data;
const FULL = 10000, FEW = 10, SHOWN = 12, PAGE_SIZE = 100;
const NONE = -1;
const slider = byId("least"), chooser = byId("method"), filters = byId("filters").elements;
const state = { sort: "number", order: "down" };
const lineState = { sort: "support", order: "down" };
const heads = [...document.querySelectorAll(".issues th[data-sort]")];
const lineHeads = [...document.querySelectorAll(".lines th[data-sort]")];
// The issues asked for by a click: those where people set `truth` and `set` would be set (null: whatever it is).
let picked = { truth: null, set: null };
let curve = [];

const method = () => methods[chooser.selectedIndex];
const threshold = () => Math.round(FULL * Number(slider.value));
const setOn = (i) => method().scores[i].filter(([, score]) => score >= threshold()).map(([label]) => label);
const share = (part, of) => of ? part / of : 0;

// For every hundredth: labels set, right ones, and issues that get any.
function measured() {
  const steps = Array.from({ length: 101 }, () => ({ set: 0, right: 0, issues: 0 }));
  method().scores.forEach((scores, i) => {
    let top = -1;
    for (const [label, score] of scores) {
      const last = Math.floor(score / 100);
      steps[last].set += 1;
      steps[last].right += issues[i].labels.includes(label);
      top = Math.max(top, last);
    }
    if (top >= 0) steps[top].issues += 1;
  });
  for (let at = 99; at >= 0; at -= 1) for (const key of ["set", "right", "issues"]) steps[at][key] += steps[at + 1][key];
  return steps;
}

function answer() {
  const now = curve[Math.round(100 * Number(slider.value))], [low, high] = wilson(now.right, now.set);
  byId("at").textContent = `At ${Number(slider.value).toFixed(2)}:`;
  byId("floor").textContent = Number(slider.value).toFixed(2);
  byId("covered").textContent = percent(share(now.issues, issues.length));
  byId("right").textContent = now.set ? percent(now.right / now.set) : "none";
  byId("interval").textContent = now.set
    ? `${count(now.right)} of ${many(now.set, "label")} on ${count(now.issues)} of ${many(issues.length, "test issue")} `
      + `are right: between ${percent(low)} and ${percent(high)} with 95% confidence.`
      + (now.set < FEW ? " That is too few to tell." : "")
    : "No label would be set.";
}

// Lines over `at` by uPlot, in bands where they have any, with a mark at one place. The legend switches lines, and has the
// values at the cursor, or else at the mark or the end. A scheme may change: colours are read whenever it draws.
const TINTS = 9, HEIGHT = 260, CRAMPED = 36, SHORT = 16, FONT = "12px system-ui, sans-serif";
function chart(box, spec) {
  const { at, lines, log } = spec, picture = element("div"), legend = element("div", "", "legend"), where = element("span");
  const view = { plot: null, update }, show = spec.percent ? percent : (value) => value.toFixed(3);
  const tint = (n) => lines[n].own ?? `--tint-${n % TINTS}`, columns = () => [at, ...lines.map(({ mean }) => mean)];
  const most = spec.percent ? 1 : Math.max(...lines.flatMap(({ mean, high }) => [...mean, ...high])) || 1;
  const ink = (name) => {
    picture.style.color = `var(${name})`;
    return getComputedStyle(picture).color;
  };
  const values = lines.map(({ title }, n) => {
    const label = element("label"), input = element("input"), value = element("b");
    [input.type, input.checked, input.style.accentColor] = ["checkbox", true, `var(${tint(n)})`];
    input.addEventListener("change", () => view.plot.setSeries(n + 1, { show: input.checked }));
    label.append(input, ` ${title} `, value);
    legend.append(label);
    return value;
  });
  function say() {
    const i = view.plot?.cursor.idx ?? (spec.mark === null ? at.length - 1 : at.indexOf(spec.mark));
    where.textContent = `${spec.x}: ${at[i]}`;
    lines.forEach(({ mean, low, high }, n) => {
      const band = low.length && low[i] !== null ? ` (${show(low[i])} to ${show(high[i])})` : "";
      values[n].textContent = mean[i] === null ? "–" : show(mean[i]) + band;
    });
  }
  // Fills the band of a line, or else draws the mark.
  function extra(plot, n) {
    const { ctx, bbox } = plot, { low, high } = lines[n - 1] ?? { low: [] }, known = at.map((_, i) => i).filter((i) => low[i] !== null);
    const to = (value, side) => ctx.lineTo(plot.valToPos(value, "x", true), plot.valToPos(side, "y", true));
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.beginPath();
    if (low.length) {
      for (const i of known) to(at[i], low[i]);
      for (const i of known.toReversed()) to(at[i], high[i]);
      [ctx.globalAlpha, ctx.fillStyle] = [0.16, ink(tint(n - 1))];
      ctx.fill();
    } else if (!n && spec.mark !== null) {
      for (const side of [0, most]) to(spec.mark, side);
      [ctx.lineWidth, ctx.strokeStyle] = [devicePixelRatio, ink("--ink")];
      ctx.setLineDash([]);
      ctx.stroke();
    }
    ctx.restore();
  }
  const axis = (more) => ({
    stroke: () => ink("--quiet"), grid: { stroke: () => ink("--line"), width: 1 }, ticks: { show: false }, gap: 6, font: FONT, labelFont: FONT, labelSize: 20,
    values: (_, all) => all.map((value) => Number(value.toFixed(6))), ...more });
  // The numbers below an axis are the measured places, without those that would touch.
  const close = (plot, one, other) => plot.valToPos(other, "x") - plot.valToPos(one, "x") < CRAMPED;
  const measured = at.length < SHORT && { filter: (_, all) => all, splits: (plot, i, min, max) => at.filter((value) => value >= min && value <= max)
    .reduce((kept, value) => kept.length && close(plot, kept.at(-1), value) ? kept : [...kept, value], []) };
  const options = (width) => ({
    width, height: HEIGHT, legend: { show: false }, padding: [10, 18, 0, 0],
    cursor: { y: false, points: { fill: (_, n) => ink(tint(n - 1)) }, drag: { x: true, y: !spec.percent, uni: 30 } },
    scales: {
      x: { time: false, distr: log ? 3 : 1, range: (_, min, max) => min < max ? [min, max] : [min / 2, min * 2] },
      y: { range: () => [0, most] } },
    axes: [
      axis({ size: 26, label: () => log ? `${spec.x} (logarithmic)` : spec.x, ...measured }),
      axis({ size: 44, label: ({ scales: { y } }) => y.min > 0 ? `${spec.y} (cut)` : spec.y, ...(spec.percent && { values: (_, all) => all.map(percent) }) })],
    series: [{}, ...lines.map(({ dash }, n) => ({
      stroke: () => ink(tint(n)), width: 2, dash: dash ?? (n < TINTS ? [] : [8, 4]), spanGaps: true,
      points: { show: at.length < SHORT, fill: () => ink("--paper") } }))],
    hooks: { drawSeries: [extra], draw: [(plot) => extra(plot, 0)], setCursor: [say] } });
  function update() {
    const tops = lines.map(({ title, mean }) => [title, Math.max(...mean), at[mean.indexOf(Math.max(...mean))]]);
    picture.setAttribute("aria-label", `${spec.y} by ${spec.x}. ${tops.map(([title, top, place]) => `${title}: at most ${show(top)}, at ${place}`).join("; ")}.`);
    view.plot?.setData(columns(), false);
    view.plot?.redraw();
    say();
  }
  picture.setAttribute("role", "img");
  legend.prepend(where);
  box.replaceChildren(picture, legend);
  // Within a folded part it has no width until it is unfolded.
  new ResizeObserver(() => {
    const width = picture.clientWidth;
    if (width && view.plot) view.plot.setSize({ width, height: HEIGHT });
    else if (width) view.plot = new uPlot(options(width), columns(), picture);
  }).observe(picture);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update);
  return view;
}

const shares = {
  y: "share", at: Array.from({ length: 101 }, (_, at) => at / 100), percent: true,
  lines: [{ title: "labels that are right, with the 95% interval", own: "--right" }, { title: "issues that get a label", own: "--quiet", dash: [5, 4], low: [] }] };
const thresholds = chart(byId("chart"), shares);
function drawChart() {
  const [right, reached] = shares.lines, known = (value) => curve.map((step) => step.set ? value(step.right, step.set) : null);
  [shares.x, shares.mark] = [`${method().scale} at which a label is set`, Number(slider.value)];
  [right.mean, right.low, right.high] = [share, (...of) => wilson(...of)[0], (...of) => wilson(...of)[1]].map(known);
  reached.mean = curve.map((step) => share(step.issues, issues.length));
  thresholds.update();
}

function lines() {
  const made = names.map((name, label) => ({ name, label, support: 0, set: 0, right: 0 }));
  issues.forEach((issue, i) => {
    for (const label of issue.labels) made[label].support += 1;
    for (const label of setOn(i)) {
      made[label].set += 1;
      made[label].right += issue.labels.includes(label);
    }
  });
  for (const line of made) [line.precision, line.recall] = [share(line.right, line.set), share(line.right, line.support)];
  const sign = lineState.order === "up" ? 1 : -1, key = lineState.sort;
  const compare = key === "name" ? (a, b) => a.name.localeCompare(b.name) : (a, b) => a[key] - b[key];
  return made.filter((line) => line.support || line.set).sort((a, b) => sign * compare(a, b) || b.support - a.support);
}
function named(cell, name) {
  cell.dataset.name = name;
  return cell;
}
function spanCell(part, of, head) {
  const cell = named(element("td"), head), made = element("div", "", "share"), span = element("div", "", "span");
  const [low, high] = wilson(part, of), reach = element("i"), dot = element("b");
  if (!of) {
    cell.append(element("span", "–", "few"));
    return cell;
  }
  reach.style.left = `${100 * low}%`;
  reach.style.width = `${100 * (high - low)}%`;
  dot.style.left = `${100 * part / of}%`;
  span.append(reach, dot);
  made.append(span, element("span", `${percent(part / of)} (${Math.round(100 * low)} to ${percent(high)}${of < FEW ? ", few" : ""})`, of < FEW ? "few" : ""));
  cell.append(made);
  return cell;
}
function drawLines() {
  markSorted(lineHeads, lineState);
  byId("lines").replaceChildren(...lines().map((line) => {
    const row = element("tr"), name = element("td"), button = element("button");
    button.type = "button";
    button.append(tagOf(line.name));
    button.addEventListener("click", () => pick({ truth: line.label, set: null }));
    name.append(button);
    row.append(name, named(element("td", count(line.support), "n"), "People set it"), named(element("td", count(line.set), "n"), "Would be set"),
      spanCell(line.right, line.set, "Right"), spanCell(line.right, line.support, "Found"));
    return row;
  }));
}

// Where a label is missed, each wrong one that would be set counts, and none where none would be.
function confused(i) {
  const set = setOn(i), wrong = set.filter((label) => !issues[i].labels.includes(label));
  return issues[i].labels.flatMap((truth) => {
    if (set.includes(truth)) return [[truth, truth]];
    return (wrong.length ? wrong : [NONE]).map((label) => [truth, label]);
  });
}
function drawConfusion() {
  const support = names.map(() => 0), counts = new Map();
  issues.forEach((issue, i) => {
    for (const label of issue.labels) support[label] += 1;
    for (const [truth, label] of confused(i)) counts.set(`${truth} ${label}`, (counts.get(`${truth} ${label}`) || 0) + 1);
  });
  const used = names.map((_, label) => label).filter((label) => support[label]).sort((a, b) => support[b] - support[a]);
  const shown = used.slice(0, SHOWN), columns = [...shown, NONE];
  const nameOf = (label) => label === NONE ? "no label" : names[label];
  const head = element("tr");
  head.append(element("td"), ...columns.map((label) => {
    const cell = element("th");
    cell.scope = "col";
    cell.append(element("span", nameOf(label), "title"));
    return cell;
  }));
  byId("columns").replaceChildren(head);
  byId("confusion").replaceChildren(...shown.map((truth) => {
    const row = element("tr"), name = element("th");
    name.scope = "row";
    name.append(element("span", names[truth], "title"));
    row.append(name, ...columns.map((label) => confusionCell(truth, label, counts.get(`${truth} ${label}`) || 0, support[truth], nameOf)));
    return row;
  }));
  byId("rest").textContent = used.length > SHOWN ? `The ${SHOWN} most common labels of ${used.length}.` : "";
}
function confusionCell(truth, label, times, of, nameOf) {
  const cell = element("td", times ? "" : "·", times ? "" : "zero");
  if (!times) return cell;
  const button = element("button", count(times)), ink = truth === label ? "--right" : label === NONE ? "--quiet" : "--bad";
  button.type = "button";
  button.title = `People set ${names[truth]}, ${label === truth ? "it" : nameOf(label)} would be set: ${many(times, "issue")} of ${of}`;
  button.setAttribute("aria-label", button.title);
  button.style.backgroundColor = `color-mix(in srgb, var(${ink}) ${8 + 37 * Math.min(1, times / of)}%, var(--paper))`;
  button.addEventListener("click", () => pick({ truth, set: label }));
  cell.append(button);
  return cell;
}

function pick(what) {
  picked = what;
  filters.show.value = "all";
  filters.find.value = "";
  drawIssues();
  byId("issues").scrollIntoView();
}
function matches(i) {
  const issue = issues[i], set = setOn(i), query = filters.find.value.trim().toLowerCase();
  const wrong = set.some((label) => !issue.labels.includes(label));
  const missed = issue.labels.some((label) => !set.includes(label));
  const views = { all: true, wrong, missed, none: !set.length, right: set.length > 0 && !wrong && !missed };
  const { truth, set: other } = picked;
  const wanted = truth === null
    || (other === null ? issue.labels.includes(truth) || set.includes(truth)
      : confused(i).some(([first, second]) => first === truth && second === other));
  return wanted && views[filters.show.value]
    && (!query || String(issue.number) === query.replace(/^#/, "") || issue.title.toLowerCase().includes(query));
}
function drawIssues() {
  const sign = state.order === "up" ? 1 : -1;
  const best = (i) => Math.max(0, ...method().scores[i].map(([, score]) => score));
  const key = state.sort === "number" ? (i) => issues[i].number : best;
  const found = issues.map((_, i) => i).filter(matches).sort((a, b) => sign * (key(a) - key(b)) || issues[b].number - issues[a].number);
  markSorted(heads, state);
  byId("count").textContent = `${count(found.length)} of ${many(issues.length, "issue")}${cut ? `, the newest of ${count(cut)}` : ""}`;
  byId("nothing").hidden = found.length > 0;
  drawPicked();
  showRows(found);
}
function drawPicked() {
  const { truth, set } = picked, stop = element("button", "all", "plain");
  byId("picked").replaceChildren();
  if (truth === null) return;
  stop.type = "button";
  stop.addEventListener("click", reset);
  const words = set === null ? "" : set === truth ? "which would be set too" : set === NONE ? "where no label would be set" : "where this would be set:";
  byId("picked").append("Only", tagOf(names[truth]), words, ...(set === null || set === truth || set === NONE ? [] : [tagOf(names[set])]), stop);
}
function reset() {
  filters.show.value = "all";
  filters.find.value = "";
  picked = { truth: null, set: null };
  drawIssues();
}
function tableRow(i) {
  const { repo, number, title, labels } = issues[i], row = element("tr"), first = element("td");
  const name = element("td", title, "title"), people = element("td"), set = element("td");
  const shown = method().scores[i].filter(([, score]) => score >= threshold());
  name.dir = "auto";
  named(people, "People set");
  named(set, "Would be set");
  const address = repo && number > 0;
  first.append(address ? link(`${server}/${repo}/issues/${number}`, `#${number}`) : String(number > 0 ? `#${number}` : ""));
  people.append(...labels.flatMap((label) => [tagOf(names[label]), " "]));
  set.append(...shown.flatMap(([label, score]) => {
    const right = labels.includes(label), tag = tagOf(names[label], {}, right ? "tag hit" : "tag miss");
    tag.append(" ", element("small", `${(score / FULL).toFixed(2)} ${right ? "✓" : "✗"}`));
    return [tag, " "];
  }));
  row.append(first, name, people, set);
  return row;
}

const showRows = pieces(byId("rows"), byId("more"), PAGE_SIZE, tableRow);
function drawAll() {
  answer();
  drawChart();
  drawLines();
  drawConfusion();
  drawIssues();
}
function choose() {
  curve = measured();
  slider.value = method().start;
  byId("scale").textContent = method().scale;
  drawAll();
}
chooser.append(...methods.map(({ title }) => element("option", title)));
chooser.addEventListener("change", choose);
slider.addEventListener("input", drawAll);
for (const name of ["show", "find"]) filters[name].addEventListener("input", drawIssues);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("reset").addEventListener("click", reset);
sortable(heads, { number: "down", score: "down" }, state, drawIssues);
sortable(lineHeads, { name: "up", support: "down", set: "down", precision: "up", recall: "up" }, lineState, drawLines);
for (const box of document.querySelectorAll("[data-chart]")) chart(box, JSON.parse(box.dataset.chart)).update();
choose();
