"""The report for a terminal and for the job summary: numbers, names of methods and labels, no text of an issue.

Names of labels and of repositories are escaped, as are reasons, which may name a path; titles of methods and the
sentences of the recommendation are our own.
"""

from __future__ import annotations

from collections.abc import Iterator

from triage.markdown import code, escape
from triage.study.analysis import Findings
from triage.study.recommendation import per_hundred, recommendation
from triage.study.study import Study, StudyOutcome

HEAD = (
    "| method | micro-F1 | macro-F1 | precision at 50 % coverage | validation | learns in | 100 issues in | memory |\n"
    "|---|---|---|---|---|---|---|---|"
)
SHOWN = 40


def plain(study: Study, outcome: StudyOutcome, found: Findings) -> Iterator[str]:
    """Lines for a terminal: the recommendation, and a table."""
    yield from recommendation(found, outcome)
    yield ""
    width = max(len(outcome.titles[run.method]) for run in found.table)
    yield f"{'':{width}}  micro-F1  macro-F1  learnt in"
    for run in found.table:
        title = outcome.titles[run.method]
        yield (
            f"{title:{width}}  {run.one['micro_f1']:8.3f}  {run.each['macro_f1']:8.3f}  {run.fit_seconds:7.1f} s"
        )
    yield sizes(study)


def markdown(study: Study, outcome: StudyOutcome, found: Findings, command: str) -> str:
    """The whole summary."""
    return "\n".join(_parts(study, outcome, found, command)) + "\n"


def _parts(study: Study, outcome: StudyOutcome, found: Findings, command: str) -> Iterator[str]:
    about = study.material.describe()
    where = about["repositories"]
    assert isinstance(where, list)  # noqa: S101 - `describe` gives a list
    name = where[0] if len(where) == 1 else f"{len(where)} repositories"
    yield f"## Methods side by side on {escape(name)}\n"
    yield from (f"- {sentence}" for sentence in recommendation(found, outcome))
    yield f"\n{sizes(study)}\n"
    yield HEAD
    for run in found.table:
        memory = "" if run.memory is None else f"{run.memory:.0f} MB"
        yield (
            f"| {outcome.titles[run.method]} | {run.one['micro_f1']:.3f} | {run.each['macro_f1']:.3f} "
            f"| {run.one['precision_at_50%_coverage']:.3f} | {run.validation:.3f} | {run.fit_seconds:.1f} s "
            f"| {per_hundred(run):.2f} s | {memory} |"
        )
    yield ""
    yield from _curve(found, outcome)
    for sweep in found.sweeps:
        (threshold, _), (top, _) = sweep.threshold.best(), sweep.top_k.best()
        third = "" if sweep.test_top_3 is None else f", by the best three {sweep.test_top_3:.3f}"
        yield (
            f"{outcome.titles[sweep.method]}: micro-F1 by threshold {threshold:g} "
            f"{sweep.test_threshold:.3f}, by the best {top:g} {sweep.test_top_k:.3f}{third}.\n"
        )
    k, m, floor = found.voted.micro_at
    near = f" and similarity at least {floor:g}" if floor > -1 else ""
    yield f"Nearest neighbours: best with k = {k}, m = {m}{near}, micro-F1 {found.voted.micro_on_test:.3f} on test.\n"
    yield from _labels(found)
    if outcome.left_out:
        yield "Not measured:\n"
        yield from (f"- {name}: {escape(why)}" for name, why in outcome.left_out.items())
    yield f"\nThe same again: `{command.replace('`', '')}`"


def sizes(study: Study) -> str:
    """How the data was split, in a sentence."""
    parts, about = study.parts, study.material.describe()
    how = "by time" if parts.kind == "time" else "by iterative stratification (seed 0)"
    return (
        f"{about['labelled']} labelled issues with {len(study.material.data.names)} labels "
        f"({about['cardinality']:.2f} an issue), split {how}: {len(parts.train)} to learn from, "
        f"{len(parts.validation)} to choose on, {len(parts.test)} to judge on; "
        f"{len(study.unlabelled)} without labels. Slices under {len(study.design.seeds)} seeds."
    )


def _curve(found: Findings, outcome: StudyOutcome) -> Iterator[str]:
    """Micro- and macro-F1 for every size."""
    every = sorted({point.size for curve in found.curves if curve.learns for point in curve.micro})
    if not every:
        return
    yield "Micro-F1 / macro-F1 by the number of labelled issues:\n"
    yield f"| method | {' | '.join(map(str, every))} |\n|---|{'---|' * len(every)}"
    for curve in found.curves:
        macro = {point.size: point.mean for point in curve.macro}
        cells = {point.size: f"{point.mean:.3f} / {macro[point.size]:.3f}" for point in curve.micro}
        yield (f"| {outcome.titles[curve.method]} | {' | '.join(cells.get(size, '') for size in every)} |")
    yield ""


def _labels(found: Findings) -> Iterator[str]:
    yield "| label | issues | precision | recall | F1 | taken for |\n|---|---|---|---|---|---|"
    for line in found.labels[:SHOWN]:
        other = f"{code(line.confused)} ({line.times})" if line.confused else ""
        yield (
            f"| {code(line.name)} | {line.support} | {line.precision:.3f} | {line.recall:.3f} | {line.f1:.3f} "
            f"| {other} |"
        )
    yield ""
