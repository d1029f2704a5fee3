// What the theme makes of a page after it is loaded: tables and code that a keyboard and a screen reader can do with.
const mend = () => {
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) {
    if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
  }
  for (const buttons of document.querySelectorAll("nav.md-code__nav")) buttons.role = "none";
  for (const version of document.querySelectorAll(".md-version__current")) {
    version.ariaLabel = `Version ${version.textContent.trim()}`;
  }
};
new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
mend();
