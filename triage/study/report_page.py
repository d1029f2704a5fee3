"""The report as one HTML page that loads nothing.

Titles and names of labels come from strangers: in the page they are only ever the escaped text of an element, and
its policy forbids everything but its own style and pictures. It holds titles of a few issues, and no bodies.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from triage.study.analysis import Findings, Query
from triage.study.recommendation import per_hundred, recommendation
from triage.study.report_markdown import sizes
from triage.study.study import Study, StudyOutcome

STYLE: Final = """
:root { --ink: #1f2328; --quiet: #59636e; --line: #d1d9e0; --shade: #f6f8fa; --right: #0a6e7c }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: #fff; margin: 0 auto; max-width: 1180px;
  padding: 28px 24px 60px }
h1 { font-size: 26px; margin: 0 } h2 { font-size: 18px; margin: 36px 0 8px }
p, figcaption { max-width: 100ch } .quiet, figcaption { color: var(--quiet); font-size: 14px }
.advice { border-left: 4px solid var(--right); background: var(--shade); padding: 10px 18px; margin: 16px 0 }
.advice li:first-child { font-weight: 600 } .advice ul { margin: 0; padding-left: 18px }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: 14px; margin: 8px 0 }
td:first-child { white-space: nowrap } td.title { white-space: normal }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
tr.best td { font-weight: 600 }
figure { margin: 20px 0 32px } img { max-width: 100%; display: block }
.tag { display: inline-block; border: 1px solid var(--line); border-radius: 20px; padding: 0 8px; margin: 0 4px 3px 0;
  background: var(--shade); font-size: 13px; unicode-bidi: isolate }
.title { unicode-bidi: isolate; overflow-wrap: anywhere }
pre { background: var(--shade); border: 1px solid var(--line); border-radius: 6px; padding: 10px 14px;
  overflow-x: auto; font-size: 13px }
"""


# Of the nearest, so many are listed; all of them vote.
SHOWN = 8


@dataclass(frozen=True)
class Figure:
    """A drawn figure: its file name, what it shows, and the SVG."""

    name: str
    title: str
    caption: str
    svg: bytes


def page(
    study: Study, outcome: StudyOutcome, found: Findings, figures: Sequence[Figure], command: str
) -> Iterator[str]:
    """The page in pieces."""
    where = sorted({issue.repo for issue in study.material.data.issues})
    name = escape(where[0] if len(where) == 1 else f"{len(where)} repositories")
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"style-src {_digest(STYLE)}; img-src data:; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>Methods side by side on {name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>Methods side by side on {name}</h1>\n<p class=quiet>{escape(sizes(study))}</p>\n"
    )
    yield "<div class=advice><ul>"
    yield from (f"<li>{escape(sentence)}</li>" for sentence in recommendation(found, outcome))
    yield "</ul></div>\n"
    yield from _methods(outcome, found)
    yield from (_figure(figure) for figure in figures if figure.name != "data")
    yield from _labels(outcome, found)
    yield from _queries(study, found)
    yield from _data(study, figures)
    yield from _again(command)
    yield "</body>\n</html>\n"


def _methods(outcome: StudyOutcome, found: Findings) -> Iterator[str]:
    yield "<h2>Methods, on all labelled issues</h2>\n<div class=wide>"
    heads = ("micro-F1", "macro-F1", "micro, each", "precision", "recall", "coverage")
    rows = []
    for run in found.table:
        one = run.one
        cells = [one["micro_f1"], run.each["macro_f1"], run.each["micro_f1"]]
        cells += [one[key] for key in (*heads[3:], "precision_at_50%_coverage")] + [run.validation]
        rows.append((outcome.titles[run.method], [f"{value:.3f}" for value in cells]))
        if run.own:
            own = [f"{run.own[key]:.3f}" for key in ("micro_f1", "macro_f1", *heads[3:])]
            rows.append((f"{outcome.titles[run.method]}, as it labels", [*own[:2], "", *own[2:], "", ""]))
    yield _table("method", (*heads, "at 50 %", "validation"), rows, best=0)
    yield "</div>\n<p class=quiet>Micro-F1, precision, recall and coverage with one threshold; macro-F1, over labels "
    yield "that occur, and <i>micro, each</i> with one for each label. Both are chosen on validation, in the same way "
    yield "for every method; the test part is judged once. <i>At 50 %</i>: the precision of the best label on the "
    yield "surer half of the issues; <i>validation</i>: micro-F1 there.</p>\n<h2>What they cost</h2>\n<div class=wide>"
    costs = [
        (
            outcome.titles[run.method],
            [
                f"{run.fit_seconds:.1f} s",
                f"{run.fit_cpu:.1f} s",
                f"{per_hundred(run):.2f} s",
                f"{100 * run.score_cpu / max(1, run.queries):.2f} s",
                "" if run.memory is None else f"{run.memory:.0f} MB",
                outcome.needs[run.method],
                run.setting or f"threshold {run.common:.3f}",
            ],
        )
        for run in found.table
    ]
    measures = ("learns in", "processor", "100 issues in", "processor", "memory", "extra", "chosen setting")
    yield _table("method", measures, costs)
    yield "</div>\n<p class=quiet>Seconds by the clock, and of the processor, all cores together; issues are embedded "
    yield "already. Memory above the start.</p>\n"
    yield from _remarks(outcome, found)


def _remarks(outcome: StudyOutcome, found: Findings) -> Iterator[str]:
    if remarks := {run.method: run.remarks for run in found.table if run.remarks}:
        yield "<ul>"
        yield from (
            f"<li>{escape(outcome.titles[name])}: {escape(words)}</li>" for name, words in remarks.items()
        )
        yield "</ul>\n"
    if outcome.left_out:
        yield "<h2>Not measured</h2><ul>"
        yield from (
            f"<li>{escape(outcome.titles.get(name, name))}: {escape(why)}</li>"
            for name, why in outcome.left_out.items()
        )
        yield "</ul>\n"


def _labels(outcome: StudyOutcome, found: Findings) -> Iterator[str]:
    best = outcome.titles[found.advice.best.method]
    yield f"<h2>Label by label, by {escape(best)}</h2>\n<div class=wide>"
    rows = [
        (
            line.name,
            [
                str(line.support),
                *(f"{value:.3f}" for value in (line.precision, line.recall, line.f1, line.own_f1)),
                f"{line.confused} ({line.times})" if line.confused else "",
            ],
        )
        for line in found.labels
    ]
    yield _table(
        "label", ("issues", "precision", "recall", "F1", "F1, own threshold", "taken for, where missed"), rows
    )
    yield "</div>\n"


def _queries(study: Study, found: Findings) -> Iterator[str]:
    yield f"<h2>A few issues, with their {found.k} nearest and the votes of these</h2>\n"
    for query in found.queries:
        yield from _query(study, query)


def _query(study: Study, query: Query) -> Iterator[str]:
    issue = study.material.data.issues[query.row]
    yield f"<h3>{_named(issue.repo, issue.number)} <span class=title>{escape(issue.title)}</span></h3>"
    yield f"<p>Carries {_tags(query.truth)}; would get {_tags(query.set_labels) or 'nothing'}. Votes: "
    yield _tags(f"{name} {count}" for name, count in query.votes.items()) or "none"
    yield "</p><table>"
    for similarity, row in query.near[:SHOWN]:
        near = study.material.data.issues[row]
        yield (
            f"<tr><td class=n>{similarity:.3f}</td><td>{_named(near.repo, near.number)}</td>"
            f"<td class=title>{escape(near.title)}</td><td>{_tags(near.labels)}</td></tr>"
        )
    yield "</table>\n"


def _data(study: Study, figures: Sequence[Figure]) -> Iterator[str]:
    about = study.material.describe()
    yield from (_figure(figure) for figure in figures if figure.name == "data")
    dropped, each = about["dropped"], about["labels_an_issue"]
    assert isinstance(dropped, dict)  # noqa: S101 - `describe` gives mappings
    assert isinstance(each, dict)  # noqa: S101
    left_out = ", ".join(f"{n} {why}" for why, n in dropped.items()) or "nothing"
    counts = ", ".join(f"{c} issues with {n}" for n, c in each.items())
    yield f"<p>Left out: {escape(left_out)}. Labels: {escape(counts)}.</p>\n"


def _again(command: str) -> Iterator[str]:
    yield "<h2>The same again</h2>\n"
    yield f"<pre>{escape(command)}</pre>\n<p class=quiet>Each figure lies beside this page in <code>figures</code> "
    yield "as PNG and SVG, with its numbers as JSON; all runs are in <code>results.json</code>. Seeds draw the slices; "
    yield "the split has none by time and seed 0 otherwise; the bootstrap draws 1000 times with seed 0.</p>\n"


def _figure(figure: Figure) -> str:
    data = base64.b64encode(figure.svg).decode()
    return (
        f"<h2>{escape(figure.title)}</h2>"
        f'<figure><img alt="{escape(figure.caption)}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{escape(figure.caption)}</figcaption></figure>\n"
    )


def _table(
    first: str, heads: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], best: int = -1
) -> str:
    """Names are escaped here."""
    lines = [f"<table><thead><tr><th>{escape(first)}</th>"]
    lines += [f"<th class=n>{escape(head)}</th>" for head in heads]
    lines.append("</tr></thead><tbody>")
    for i, (name, cells) in enumerate(rows):
        inner = "".join(f"<td class=n>{escape(cell)}</td>" for cell in cells)
        lines.append(f"<tr{' class=best' if i == best else ''}><td>{escape(name)}</td>{inner}</tr>")
    return "".join([*lines, "</tbody></table>"])


def _tags(names: Iterable[str]) -> str:
    return "".join(f"<span class=tag>{escape(name)}</span>" for name in names)


def _named(repo: str, number: int) -> str:
    return f"{escape(repo)} #{number}"


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
