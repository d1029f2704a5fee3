"use strict";
// What both pages share. Titles and names of labels come from strangers: they become elements by `textContent` alone.
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const count = (n) => n.toLocaleString("en");
const many = (n, thing) => `${count(n)} ${thing}${n === 1 ? "" : "s"}`;
const percent = (share) => `${Math.round(100 * share)}%`;

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}
function link(href, text) {
  const made = element("a", text);
  made.href = href;
  made.rel = "noreferrer";
  return made;
}

// The luminance of a colour decides whether black or white stands out on it: one of them always reaches 4.5:1.
function luminance(hex) {
  const [r, g, b] = [0, 2, 4].map((at) => {
    const c = parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function paint(tag, hex) {
  if (!hex) return tag;
  tag.style.backgroundColor = `#${hex}`;
  tag.style.color = luminance(hex) > 0.179 ? "#000" : "#fff";
  return tag;
}
// A label may be called `constructor`.
const colorOf = (colors, name) => Object.hasOwn(colors, name) ? colors[name] : "";
const tagOf = (name, colors = {}, className = "tag") => paint(element("span", name, className), colorOf(colors, name));

// The 95% interval of a share (Wilson, 1927), as `metrics.wilson` has it.
function wilson(hits, of) {
  if (!of) return [0, 1];
  const z2 = 1.96 ** 2, share = hits / of, centre = (share + z2 / (2 * of)) / (1 + z2 / of);
  const reach = 1.96 / (1 + z2 / of) * Math.sqrt(share * (1 - share) / of + z2 / (4 * of * of));
  return [Math.max(0, centre - reach), Math.min(1, centre + reach)];
}

// A long list comes in pieces: `show` replaces it by the first ones, and the button appends more.
function pieces(body, more, size, rowOf) {
  let all = [], shown = 0;
  const next = () => {
    body.append(...all.slice(shown, shown + size).map(rowOf));
    shown = Math.min(all.length, shown + size);
    more.hidden = shown === all.length;
  };
  more.addEventListener("click", next);
  return (items) => {
    body.replaceChildren();
    [all, shown] = [items, 0];
    next();
  };
}

// The heads of a table sort it; `state` has `sort` and `order`, `first` the order that a head begins with.
function sortable(heads, first, state, changed) {
  for (const head of heads) {
    head.firstElementChild.addEventListener("click", () => {
      const sort = head.dataset.sort;
      const reversed = state.order === "up" ? "down" : "up";
      state.order = sort === state.sort ? reversed : first[sort];
      state.sort = sort;
      changed();
    });
  }
}
function markSorted(heads, { sort, order }) {
  const direction = order === "up" ? "ascending" : "descending";
  for (const head of heads) head.setAttribute("aria-sort", head.dataset.sort === sort ? direction : "none");
}
