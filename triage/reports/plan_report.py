"""The report of a plan: its totals, a Markdown summary without any text of an issue, and a page to review it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from triage.backfill.plan import Entry, Header, Promise, to_dict
from triage.markdown import code, escape, table
from triage.metrics import wilson
from triage.reports import render
from triage.schema import parse_time

MEASURED = (
    "Precision says how often a label was right on issues newer than the learnt ones. It was measured on issues that "
    "people labelled. Some issues have no label because none fits: on these, fewer labels will be right."
)


@dataclass(frozen=True)
class PlanLine:
    """One label: how many issues would get it, and how many carry it already, proposed by the rules or not."""

    name: str
    promise: Promise
    planned: int
    agreed: int
    missed: int


@dataclass(frozen=True)
class Totals:
    """A plan in numbers: `issues` planned for, `labelled` that get a label, `disputed` that carry a label which the
    rules would not set, `left` alone and `unjudged` by reason, and labels `held` back by reason.
    """

    issues: int
    labelled: int
    disputed: int
    left: dict[str, int]
    unjudged: dict[str, int]
    held: dict[str, int]
    lines: tuple[PlanLine, ...]
    probability: float = 0.0

    @property
    def planned(self) -> int:
        """How many labels would be set."""
        return sum(one.planned for one in self.lines)

    def to_dict(self) -> dict[str, object]:
        """The totals as a JSON object."""
        labels = {
            one.name: {"planned": one.planned, "agreed": one.agreed, "missed": one.missed}
            for one in self.lines
        }
        rest = {
            name: getattr(self, name)
            for name in ("issues", "labelled", "planned", "disputed", "left", "held")
        }
        return rest | {"labels": labels}

    @property
    def unmeasured(self) -> int:
        """How many labels would be set whose own precision was not measured, or on too few issues."""
        return sum(one.planned for one in self.lines if one.promise.reliable is None)


@dataclass(frozen=True)
class Expected:
    """The share of the planned labels that should be right, as measured on so many labels, with its 95% interval."""

    share: float
    labels: int
    low: float
    high: float

    def describe(self) -> str:
        """In words."""
        return f"{self.share:.0%} ({self.low:.0%} to {self.high:.0%})"


def expected(header: Header, counted: Totals) -> Expected | None:
    """The lowest estimate: of these labels' probabilities, and of what was measured on other issues.

    None where nothing was measured.
    """
    figures = header.figures
    labels = header.measured or round(figures.get("coverage", 0) * figures.get("issues", 0))
    if not counted.planned or not labels:
        return None
    estimates = [counted.probability / counted.planned]
    estimates += [header.right / header.measured] if header.measured else []
    estimates += [figures["precision"]] if "precision" in figures else []
    share = min(estimates)
    return Expected(share, labels, *wilson(share * labels, labels))


def totals(header: Header, entries: Iterable[Entry]) -> Totals:
    """Count a plan in one pass; `lines` begin with the label that is planned most."""
    issues = labelled = disputed = 0
    probability = 0.0
    left, unjudged, held, planned, agreed, missed = (Counter[str]() for _ in range(6))
    for entry in entries:
        issues += 1
        labelled += bool(entry.labels)
        disputed += bool(entry.missed)
        left.update([entry.note] if entry.note else [])
        unjudged.update([entry.unjudged] if entry.unjudged else [])
        held.update(entry.held_back.values())
        probability += sum(entry.scores.values())
        planned.update(entry.labels)
        missed.update(entry.missed)
        if not entry.note and not entry.unjudged:
            agreed.update(name for name in entry.existing if name not in entry.missed)
    names = {*header.promises, *planned, *missed}
    lines = (
        PlanLine(name, header.promises.get(name, Promise()), planned[name], agreed[name], missed[name])
        for name in names
    )
    used = (one for one in lines if one.planned or one.agreed or one.missed)
    ranked = sorted(used, key=lambda one: (-one.planned, one.name))
    alone, silent, back = (dict(reasons.most_common()) for reasons in (left, unjudged, held))
    return Totals(issues, labelled, disputed, alone, silent, back, tuple(ranked), probability)


def markdown(header: Header, counted: Totals) -> str:
    """The report for the job summary."""
    lines = [
        f"### A backfill would label {counted.labelled} of {counted.issues} issues of {escape(header.repo)}",
        "",
        *_basis(header, counted),
        "",
        *_table(counted),
        MEASURED,
        "",
    ]
    if header.figures:
        lines += [_held_out(header), ""]
    for title, counts in _reasons(counted).items():
        lines += [f"{title}:", "", *(f"- {n}: {escape(reason)}" for reason, n in counts.items()), ""]
    return "\n".join(lines)


def _reasons(counted: Totals) -> dict[str, Mapping[str, str]]:
    """Why issues get no label, or not all: how many for each reason."""
    parts = {
        "Left alone": (counted.left, "issue"),
        "Could not be judged": (counted.unjudged, "issue"),
        "Held back": (counted.held, "label"),
    }
    return {
        title: {reason: _many(n, thing) for reason, n in counts.items()}
        for title, (counts, thing) in parts.items()
        if counts
    }


def _many(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"


def _made(header: Header) -> str:
    """When the plan was made, as people write it."""
    return f"{parse_time(header.created_at):%Y-%m-%d %H:%M} UTC"


def page(header: Header, counted: Totals, entries: Iterable[Entry], server_url: str) -> Iterator[str]:
    """The page in pieces, so that memory does not grow with the number of issues."""
    hoped = expected(header, counted)
    return render(
        "plan",
        header=header,
        counted=counted,
        hoped=hoped,
        made=_made(header),
        reasons=_reasons(counted),
        filters=filters(header),
        caption=f"{MEASURED} {_held_out(header) if header.figures else ''}".strip(),
        labels=sorted((one.name for one in counted.lines if one.planned or one.missed), key=str.casefold),
        server=server_url.rstrip("/"),
        plan=to_dict(header),
        expected={"share": hoped.share, "labels": hoped.labels} if hoped else None,
        bars=[_bar(one) for one in counted.lines],
        rows=(to_dict(entry) for entry in entries if entry.labels or entry.missed),
    )


def _bar(one: PlanLine) -> dict[str, object]:
    """A label as the page's script reads it."""
    promise = one.promise
    return {
        "name": one.name,
        "planned": one.planned,
        "promise": promise.describe(),
        "reliable": promise.reliable,
    }


def _held_out(header: Header) -> str:
    """The bundle's own figures, in a sentence."""
    figures = header.figures
    return (
        f"On the newest issues, on which nothing was tuned, the bundle reached a precision of "
        f"{figures.get('precision', 0):.0%}, with a label for {figures.get('coverage', 0):.0%} of "
        f"{figures.get('issues', 0):.0f} issues."
    )


def filters(header: Header) -> str:
    """The options that chose the issues; empty for all issues."""
    return ", ".join(name if value == "True" else f"{name} {value}" for name, value in header.filters.items())


def _basis(header: Header, counted: Totals) -> Iterator[str]:
    hoped = expected(header, counted)
    made = f"Made {escape(_made(header))} with bundle {escape(header.bundle)}"
    only = f"; only {escape(filters(header))}" if header.filters else ""
    yield f"Nothing was written to GitHub. {made}{only}."
    if hoped:
        yield f"Of {counted.planned} labels, {hoped.describe()} should be right, by the lowest of the estimates."
    if counted.unmeasured:
        yield (
            f"The precision of {_many(counted.unmeasured, 'label')} was never measured, or measured on too few issues: "
            "check these first."
        )
    if counted.disputed:
        yield f"{counted.disputed} issues have a label that triage would not have set."


def _table(counted: Totals) -> Iterator[str]:
    if not counted.lines:
        yield from ("No label would be set.", "")
        return
    heads = (
        "label",
        "issues that get it",
        "precision",
        "set already, triage agrees",
        "set already, triage disagrees",
    )
    rows = (
        (code(one.name), str(one.planned), one.promise.describe(), str(one.agreed), str(one.missed))
        for one in counted.lines
    )
    yield from table(heads, rows, "<>>>>")
