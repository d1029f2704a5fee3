"""What a plan amounts to: counts, and a report in Markdown. Holds numbers and label names, no text of an issue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from triage.backfill.plan import Entry, Header, Promise
from triage.markdown import code, escape, table

# On fewer issues than this a share says nothing.
ENOUGH = 10
MEASURED = (
    "Precision: how often the bundle's rule for the label was right on issues newer than all it had learnt from by "
    "then. Issues that the rules were learnt from count for "
    "nothing here. It was measured on issues that people labelled: where people left issues without a label "
    "because none fits, fewer will be right."
)
UNSEEN = "On the newest issues of all, which no setting was chosen by, the bundle reached"


@dataclass(frozen=True)
class PlanLine:
    """One label: the issues that would get it, and those that carry it, found by the rules alike or not."""

    name: str
    planned: int
    agreed: int
    missed: int


@dataclass(frozen=True)
class Totals:
    """A plan in numbers: `issues` planned for, `labelled` that get a label, `disputed` with a label not found,
    `left` alone by reason, and `held` back labels by reason.
    """

    issues: int
    labelled: int
    disputed: int
    left: dict[str, int]
    held: dict[str, int]
    lines: tuple[PlanLine, ...]

    @property
    def planned(self) -> int:
        """How many labels would be set."""
        return sum(one.planned for one in self.lines)


def totals(header: Header, entries: Iterable[Entry]) -> Totals:
    """Count a plan in one pass; the lines come with the most planned label first."""
    issues = labelled = disputed = 0
    left, held, planned, agreed, missed = (Counter[str]() for _ in range(5))
    for entry in entries:
        issues += 1
        labelled += bool(entry.labels)
        disputed += bool(entry.missed)
        left.update([entry.note] if entry.note else [])
        held.update(entry.held_back.values())
        planned.update(entry.labels)
        missed.update(entry.missed)
        if not entry.note:
            agreed.update(name for name in entry.existing if name not in entry.missed)
    names = {*header.promises, *planned, *missed}
    lines = (PlanLine(name, planned[name], agreed[name], missed[name]) for name in names)
    used = (one for one in lines if one.planned or one.agreed or one.missed)
    ranked = sorted(used, key=lambda one: (-one.planned, one.name))
    return Totals(
        issues, labelled, disputed, dict(left.most_common()), dict(held.most_common()), tuple(ranked)
    )


def promise(header: Header, name: str) -> float | None:
    """The measured precision of a label; None where it was measured on too few issues to promise anything."""
    found = header.promises.get(name)
    return found.precision if found and found.predicted >= ENOUGH else None


def told(header: Header, name: str) -> str:
    """What was measured of a label, in words."""
    return measured(header.promises.get(name))


def measured(found: Promise | None) -> str:
    """A measured precision in words, with what it was measured on."""
    if found is None or found.precision is None:
        return "never measured"
    few = ", too few to tell" if found.predicted < ENOUGH else ""
    return f"{found.precision:.0%} right of {found.predicted}{few}"


def expected(header: Header, found: Totals) -> tuple[float, int]:
    """(right labels to expect, out of how many): of the labels whose precision was measured."""
    known = [(one.planned, promise(header, one.name)) for one in found.lines]
    measured = [(count, share) for count, share in known if share is not None]
    return sum(count * share for count, share in measured), sum(count for count, _ in measured)


def markdown(header: Header, found: Totals) -> str:
    """The report."""
    parts = [
        f"### A backfill would label {found.labelled} of {found.issues} issues of {escape(header.repo)}",
        "",
        *_basis(header, found),
        "",
        *_table(header, found),
        MEASURED,
    ]
    if header.figures:
        parts += ["", f"{UNSEEN} {unseen(header)}."]
    if found.left:
        parts += ["", "Left alone:", "", *(f"- {count}: {escape(why)}" for why, count in found.left.items())]
    if found.held:
        parts += [
            "",
            "Held back:",
            "",
            *(f"- {n} label{'s' * (n > 1)}: {escape(why)}" for why, n in found.held.items()),
        ]
    return "\n".join([*parts, ""])


def unseen(header: Header) -> str:
    """The bundle's own figures, in words."""
    figures = header.figures
    return (
        f"a precision of {figures.get('precision', 0):.0%}, with a label for "
        f"{figures.get('coverage', 0):.0%} of {figures.get('issues', 0):.0f} issues"
    )


def chosen(header: Header) -> str:
    """The options that chose the issues, in words; empty for all."""
    return ", ".join(name if value == "True" else f"{name} {value}" for name, value in header.filters.items())


def _basis(header: Header, found: Totals) -> Iterator[str]:
    right, of = expected(header, found)
    made = (
        f"Nothing was written to GitHub. Made {escape(header.created_at)} with bundle {escape(header.bundle)}"
    )
    only = chosen(header)
    yield f"{made}{f'; only {escape(only)}' if only else ''}."
    if of:
        yield f"Of {of} labels whose precision was measured, about {right:.0f} should be right."
    if found.planned > of:
        yield f"{found.planned - of} more are of labels that were never measured or on too few: look at these first."
    if found.disputed:
        yield f"{found.disputed} issues carry a label that the same rules would not have set."


def _table(header: Header, found: Totals) -> Iterator[str]:
    if not found.lines:
        yield from ("No label would be set.", "")
        return
    heads = (
        "label",
        "issues that get it",
        "precision",
        "already there, proposed too",
        "already there, not proposed",
    )
    rows = (
        (code(one.name), str(one.planned), told(header, one.name), str(one.agreed), str(one.missed))
        for one in found.lines
    )
    yield from table(heads, rows, "<>>>>")
