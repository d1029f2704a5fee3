"""The job summary: decisions in Markdown for maintainers. Holds numbers and label names, no text of an issue."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from triage.decide.decision import Decision, Neighbour, ranked
from triage.reports.terminal import meter, one_line, support

if TYPE_CHECKING:
    from triage.label.labeller import LabelOutcome

NEIGHBOURS_SHOWN = 10
RUNNERS_UP = 5
ISSUES_SHOWN = 200
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ")
# GitHub looks for mentions and references in the finished page, where entities are characters again.
LINKING = re.compile(r"[@#]|gh-(?=\d)", re.IGNORECASE)
BREAK = "\u200b"

Url = Callable[[str, int], str]


def escape(text: str) -> str:
    """Text that Markdown and HTML take for nothing but text; @ and # link to nobody."""
    return _entities(LINKING.sub(lambda found: found[0] + BREAK, text))


def label(name: str) -> str:
    """A label's name as code, where GitHub looks for no mention and no reference."""
    return f"<code>{_entities(name)}</code>"


def escape_url(url: str) -> str:
    """An address that cannot end the attribute it stands in."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-._~:/?#%=&+") else _hex(c) for c in url)


def summary(outcomes: Sequence[LabelOutcome], *, url: Url, dry_run: bool, model: str) -> str:
    """The summary of a run; `url` gives the page of an issue, `model` says what decided."""
    if len(outcomes) == 1:
        parts = _issue(outcomes[0], url, dry_run)
    else:
        parts = [*_overview(outcomes, url, dry_run), *_details(outcomes, url, dry_run)]
    some = any(outcome.added for outcome in outcomes) and not dry_run
    hint = " Take a wrong label off: it is not put back." if some else ""
    return "\n".join([*parts, f"<sub>Decided by {escape(model)}.{hint}</sub>", ""])


def _overview(outcomes: Sequence[LabelOutcome], url: Url, dry_run: bool) -> Iterator[str]:
    labelled = sum(bool(outcome.added) for outcome in outcomes)
    yield f"### {labelled} of {len(outcomes)} issues {'would be' if dry_run else 'were'} labelled"
    yield ""
    if outcomes:
        yield from ("| issue | labels | |", "|---|---|---|")
    for outcome in outcomes[:ISSUES_SHOWN]:
        yield f"| {_link(outcome, url)} | {_labels(outcome.added) or 'none'} | {escape(_remark(outcome))} |"
    if len(outcomes) > ISSUES_SHOWN:
        yield f"| … | {len(outcomes) - ISSUES_SHOWN} more | |"
    yield ""


def _remark(outcome: LabelOutcome) -> str:
    held = outcome.decision.held_back if outcome.decision else {}
    return "; ".join([*filter(None, [outcome.note]), *(f"{name}: {reason}" for name, reason in held.items())])


def _details(outcomes: Sequence[LabelOutcome], url: Url, dry_run: bool) -> Iterator[str]:
    looked_at = [outcome for outcome in outcomes[:ISSUES_SHOWN] if outcome.decision]
    if looked_at:
        yield from ("<details><summary>The reasons, issue by issue</summary>", "")
        for outcome in looked_at:
            yield from _issue(outcome, url, dry_run)
        yield from ("</details>", "")


def _issue(outcome: LabelOutcome, url: Url, dry_run: bool) -> list[str]:
    decision, link = outcome.decision, _link(outcome, url)
    if decision is None:
        return [f"### {link} was left alone", "", f"{_sentence(outcome.note)}", ""]
    verb = "would get" if dry_run else "got"
    parts = [f"### {link} {verb} {_labels(outcome.added) or 'no label'}", ""]
    if outcome.note:
        parts += [_sentence(outcome.note), ""]
    return [*parts, *_reasons(decision), *_neighbours(decision.voters, url)]


def _reasons(decision: Decision) -> list[str]:
    rows = [("✓", name, support(decision, name)) for name in decision.labels]
    rows += [("✗", name, f"held back: {reason}") for name, reason in decision.held_back.items()]
    shown = {*decision.labels, *decision.held_back}
    rest = [name for name, _ in ranked(decision.scores) if name not in shown]
    rows += [("", name, _short(decision, name)) for name in rest[: max(0, RUNNERS_UP - len(rows))]]
    if not rows:
        return ["No label is known yet.", ""]
    lines = ["| | label | probability | why |", "|:-:|---|---|---|"]
    lines += [
        f"| {mark} | {label(name)} | <code>{meter(decision.scores[name])}</code> | {escape(why)} |"
        for mark, name, why in rows
    ]
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


def _neighbours(voters: Sequence[Neighbour], url: Url) -> list[str]:
    if not voters:
        return []
    shown = voters[:NEIGHBOURS_SHOWN]
    title = f"The {len(voters)} most similar issues voted"
    lines = [f"<details><summary>{title}</summary>", "", "| issue | similarity | labels |", "|---|---|---|"]
    lines += [
        f"| {_linked(n.repo, n.number, url)} | {n.similarity:.2f} | {_labels(n.labels)} |" for n in shown
    ]
    if len(voters) > len(shown):
        lines.append(f"| … | | {len(voters) - len(shown)} more |")
    return [*lines, "", "</details>", ""]


def _labels(names: Iterable[str]) -> str:
    return " ".join(map(label, names))


def _link(outcome: LabelOutcome, url: Url) -> str:
    return _linked(outcome.repo, outcome.number, url)


def _linked(repo: str, number: int, url: Url) -> str:
    return f'<a href="{escape_url(url(repo, number))}">#{number}</a>'


def _sentence(words: str) -> str:
    return f"{escape(words[:1].upper() + words[1:])}."


def _entities(text: str) -> str:
    return "".join(c if c in PLAIN or ord(c) > 127 else f"&#{ord(c)};" for c in one_line(text))


def _hex(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())
