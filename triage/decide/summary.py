"""The job summary: decisions in Markdown for maintainers. Holds numbers and label names, no text of an issue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from triage.decide.decision import Decision, Neighbour, ranked
from triage.decide.report import meter, support

NEIGHBOURS_SHOWN = 10
RUNNERS_UP = 5
ISSUES_SHOWN = 200
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ")


@dataclass(frozen=True)
class Outcome:
    """What became of one issue: the decision (None: not looked at, see `note`) and the labels really added."""

    repo: str
    number: int
    decision: Decision | None = None
    added: tuple[str, ...] = ()
    note: str = ""
    suggestions: tuple[tuple[str, float], ...] = field(default=())


def escape(text: str) -> str:
    """Text that Markdown and HTML take for nothing but text; @ and # link to nobody."""
    return "".join(c if c in PLAIN or ord(c) > 127 else f"&#{ord(c)};" for c in " ".join(text.split()))


def summary(outcomes: Sequence[Outcome], *, url: Callable[[str, int], str], dry_run: bool, model: str) -> str:
    """The summary of a run; `url` gives the page of an issue, `model` says what decided."""
    parts = [_issue(outcome, url, dry_run) for outcome in outcomes[:ISSUES_SHOWN]]
    if len(outcomes) > 1:
        labelled = sum(bool(outcome.added) for outcome in outcomes)
        parts.insert(0, f"### {labelled} of {len(outcomes)} issues labelled\n")
    if len(outcomes) > ISSUES_SHOWN:
        parts.append(f"… and {len(outcomes) - ISSUES_SHOWN} more.\n")
    parts.append(f"<sub>Decided by {escape(model)}.</sub>\n")
    return "\n".join(parts)


def _issue(outcome: Outcome, url: Callable[[str, int], str], dry_run: bool) -> str:
    link = f'<a href="{escape_url(url(outcome.repo, outcome.number))}">#{outcome.number}</a>'
    decision = outcome.decision
    if decision is None:
        return f"### {link} left alone\n\n{escape(outcome.note)}.\n"
    names = " ".join(f"<code>{escape(name)}</code>" for name in outcome.added)
    verb = "would get" if dry_run else "got"
    head = f"### {link} {verb} {names}" if outcome.added else f"### {link} {verb} no label"
    parts = [head, ""]
    if outcome.note:
        parts += [f"{escape(outcome.note)}.", ""]
    parts += _reasons(decision)
    parts += _neighbours(decision.voters, url)
    return "\n".join(parts)


def _reasons(decision: Decision) -> list[str]:
    rows = [("✓", name, decision, support(decision, name)) for name in decision.labels]
    rows += [("✗", name, decision, f"held back: {reason}") for name, reason in decision.held_back.items()]
    shown = {*decision.labels, *decision.held_back}
    rest = [pair for pair in ranked(decision.scores) if pair[0] not in shown]
    rows += [
        ("", name, decision, _short(decision, name)) for name, _ in rest[: max(0, RUNNERS_UP - len(rows))]
    ]
    if not rows:
        return ["No label is known yet.", ""]
    lines = ["| | label | probability | why |", "|---|---|---|---|"]
    for mark, name, _, why in rows:
        lines.append(
            f"| {mark} | {escape(name)} | <code>{meter(decision.scores[name])}</code> | {escape(why)} |"
        )
    return [*lines, ""]


def _short(decision: Decision, name: str) -> str:
    """Why a label was not elected."""
    count = decision.votes.get(name)
    if count is None:
        return "its description is not close enough"
    need = decision.needed.get(name)
    if need is None:
        return f"{count:.1f} of {len(decision.voters)} votes; a suggestion: it is never set by votes alone"
    return f"{count:.1f} of {len(decision.voters)} votes, {need:.1f} needed"


def _neighbours(voters: Sequence[Neighbour], url: Callable[[str, int], str]) -> list[str]:
    if not voters:
        return []
    lines = [
        f"<details><summary>The {len(voters)} neighbours that voted</summary>",
        "",
        "| issue | similarity | labels |",
        "|---|---|---|",
    ]
    for n in voters[:NEIGHBOURS_SHOWN]:
        link = f'<a href="{escape_url(url(n.repo, n.number))}">#{n.number}</a>'
        labels = " ".join(f"<code>{escape(name)}</code>" for name in n.labels)
        lines.append(f"| {link} | {n.similarity:.2f} | {labels} |")
    if len(voters) > NEIGHBOURS_SHOWN:
        lines.append(f"| … {len(voters) - NEIGHBOURS_SHOWN} more | | |")
    return [*lines, "", "</details>", ""]


def escape_url(url: str) -> str:
    """An address that cannot end the attribute it stands in."""
    return "".join(c if c.isalnum() or c in "-._~:/?#%=&+" else f"%{ord(c):02X}" for c in url)
