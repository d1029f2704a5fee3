"""A plan as one HTML page that loads nothing: a picture, and a table to sort and filter.

Titles and names of labels come from strangers: in the page they are only ever the text of an element, put there by
escaping (`html.escape`) or by `textContent`. The policy of the page forbids everything but its own script and style.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from html import escape

from triage.backfill.plan import Entry, Header
from triage.reports.plan_page_parts import SCRIPT, STYLE
from triage.reports.plan_report import (
    MEASURED,
    UNSEEN,
    PlanLine,
    Totals,
    chosen,
    expected,
    promise,
    told,
    unseen,
)

# More labels would make the picture longer than a screen.
BARS = 24
ROW, LEFT, WIDTH, RIGHT = 24, 210, 520, 190


def page(header: Header, found: Totals, entries: Iterable[Entry], server_url: str) -> Iterator[str]:
    """The page in pieces, so that memory does not grow with the number of issues."""
    yield _head(header)
    yield from _summary(header, found)
    yield _figure(header, found)
    yield _controls(found)
    yield '<script type="application/json" id="data">{"base":'
    yield _json(f"{server_url.rstrip('/')}/{header.repo}/issues/")
    yield ',"rows":[\n'
    before = ""
    for entry in entries:
        if entry.labels or entry.missed:
            yield before + _json(_row(entry))
            before = ",\n"
    yield f"\n]}}</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"


def picture(header: Header, lines: Iterable[PlanLine]) -> str:
    """Bars: how many issues get each label; the dark part is what should be right by the measured precision."""
    drawn = [one for one in lines if one.planned][:BARS]
    most = max((one.planned for one in drawn), default=1)
    height = ROW * len(drawn) + 4
    parts = [
        f'<svg viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}" role="img" '
        'aria-label="Issues that get each label, and its precision">',
        '<defs><pattern id="unknown" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect width="6" height="6" class="wrong"/>'
        '<rect width="3" height="6" class="stripe"/></pattern></defs>',
    ]
    for at, one in enumerate(drawn):
        parts += _bar(header, one, at * ROW, most)
    return "".join([*parts, "</svg>"])


def _bar(header: Header, one: PlanLine, top: int, most: int) -> Iterator[str]:
    precision = promise(header, one.name)
    whole = max(1.0, WIDTH * one.planned / most)
    right = 0.0 if precision is None else whole * precision
    kind = 'fill="url(#unknown)"' if precision is None else 'class="wrong"'
    middle, name = top + 16, escape(one.name)
    yield f'<g class="bar" data-label="{name}" tabindex="0"><title>{name}</title>'
    yield f'<rect class="hit" y="{top}" width="{LEFT + WIDTH + RIGHT}" height="{ROW}"/>'
    yield f'<text class="name" x="{LEFT - 8}" y="{middle}">{escape(_short(one.name))}</text>'
    yield f'<rect {kind} x="{LEFT}" y="{top + 4}" width="{whole:.1f}" height="{ROW - 8}" rx="2"/>'
    if right:
        yield f'<rect class="right" x="{LEFT}" y="{top + 4}" width="{right:.1f}" height="{ROW - 8}" rx="2"/>'
    yield f'<text class="count" x="{LEFT + whole + 8:.1f}" y="{middle}">{one.planned:,}'
    yield f'<tspan class="quiet" dx="8">{told(header, one.name)}</tspan></text></g>'


def _short(name: str) -> str:
    return name if len(name) <= 28 else name[:27] + "…"


def _head(header: Header) -> str:
    allowed = f"style-src {_digest(STYLE)}; script-src {_digest(SCRIPT)}"
    repo = escape(header.repo)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"{allowed}; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>Backfill of {repo}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )


def _summary(header: Header, found: Totals) -> Iterator[str]:
    right, of = expected(header, found)
    tiles = [
        (f"{found.labelled:,}", f"of {found.issues:,} issues get a label"),
        (f"{found.planned:,}", "labels would be set"),
        (f"{right / of:.0%}" if of else "?", "of them right, by what was measured"),
        (f"{found.disputed:,}", "issues carry a label that the rules would not set"),
    ]
    yield f"<header><h1>Backfill of {escape(header.repo)}</h1>\n<p>A plan: nothing was written to GitHub. "
    yield f"Made {escape(header.created_at)} with bundle <code>{escape(header.bundle)}</code>"
    only = chosen(header)
    yield f"; only {escape(only)}.</p>" if only else ".</p>"
    yield "</header>\n<ul class=tiles>"
    yield from (f"<li><b>{number}</b> {escape(words)}</li>" for number, words in tiles)
    yield "</ul>\n"


def _figure(header: Header, found: Totals) -> str:
    rest = sum(1 for one in found.lines if one.planned) - BARS
    more = f" {rest} rarer labels are left out of the picture." if rest > 0 else ""
    own = f" {UNSEEN} {unseen(header)}." if header.figures else ""
    return (
        "<figure><h2>How many issues get which label, and how often that is right</h2>"
        '<p class="key"><i class="right"></i> right, by the measured precision '
        '<i class="wrong"></i> wrong <i class="stripe"></i> never measured, or on too few</p>'
        f"{picture(header, found.lines)}<figcaption>{escape(MEASURED + own + more)}</figcaption></figure>\n"
    )


def _controls(found: Totals) -> str:
    used = sorted((one.name for one in found.lines if one.planned or one.missed), key=str.casefold)
    options = "".join(f'<option value="{escape(name)}">{escape(name)}</option>' for name in used)
    return f"""<main><h2>The issues</h2>
<form id="controls">
<label>Label <select name="label"><option value="">any</option>{options}</select></label>
<label>Show <select name="show"><option value="planned">issues that get a label</option>
<option value="unlabelled">… that carry none</option><option value="disputed">disagreement with labels there</option>
<option value="all">all of these</option></select></label>
<label>Confidence at least <input name="least" type="number" min="0" max="1" step="0.05" value="0"></label>
<label>Find <input name="find" type="search" placeholder="number or words"></label>
<output id="count"></output>
</form>
<table><thead><tr><th data-sort="number"><button>Issue</button></th><th>Title</th>
<th data-sort="confidence"><button>Would get, with confidence</button></th>
<th data-sort="disagreement"><button>Carries, struck where the rules disagree</button></th></tr></thead>
<tbody id="rows"></tbody></table>
<button id="more" hidden>Show more</button>
<noscript>The table needs JavaScript; the plan itself is the file plan.jsonl.</noscript></main>
"""


def _row(entry: Entry) -> list[object]:
    planned = [[name, entry.scores[name]] for name in entry.labels]
    carried = [[name, int(name in entry.missed)] for name in entry.existing]
    return [entry.number, entry.title, planned, carried]


def _json(data: object) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(data).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
