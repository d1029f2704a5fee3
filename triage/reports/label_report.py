"""Decisions for people to read: on a terminal, and in the job summary, which has no text of an issue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from triage.console import DRY_RUN
from triage.decide import Decision, Neighbour, ranked
from triage.decide.policy import CARRIED, look_alike
from triage.decide.rules import NEIGHBOURS
from triage.issue import fold
from triage.label.labeller import LabelOutcome, possible_duplicates
from triage.markdown import code, codes, details, escape, issue_link, one_line, page_link, table

NEIGHBOURS_SHOWN = 10
RUNNERS_UP = 5
ISSUES_SHOWN = 200
# On a terminal.
VOTERS_SHOWN, SCORES_SHOWN = 5, 3
BLOCKS = " ▏▎▍▌▋▊▉█"
# Characters of a meter.
METER = 10
NO_BREAK = "\u00a0"

Url = Callable[[str, int], str]


def terminal(title: str, decision: Decision) -> str:
    """One issue for a terminal: its labels and what supports them, the labels held back, and the nearest voters."""
    repo, number = decision.key
    # A row without a number has its place in the file below zero.
    name = f"{repo}#{number}" if number > 0 else f"{repo} row {-number}".lstrip()
    lines = [f"{name}  {one_line(title)[:90]}", *_terminal_reasons(decision, dry_run=True)]
    lines += [
        f"      {n.similarity:.2f}  {n.repo if n.repo != repo else ''}#{n.number}  {one_line(', '.join(n.labels))}"
        for n in decision.voters[:VOTERS_SHOWN]
    ]
    lines += _terminal_duplicates(decision)
    return "\n".join(lines) + "\n"


def outcome_lines(outcome: LabelOutcome, *, dry_run: bool) -> str:
    """The result of one issue on GitHub for the log, without its text; each line of a dry run says that it is one."""
    got = ", ".join(map(one_line, outcome.added)) or "no label"
    if outcome.decision and outcome.decision.carried and not outcome.added:
        got = f"no label, has {', '.join(map(one_line, outcome.decision.carried))} already"
    if outcome.answer:
        lines = [one_line(outcome.answer)]
    elif outcome.note and not outcome.added:
        left = (
            ""
            if outcome.decision or outcome.missing
            else "would be left alone: "
            if dry_run
            else "left alone: "
        )
        lines = [f"{left}{outcome.note}"]
    else:
        lines = ["; ".join(filter(None, [f"would get {got}" if dry_run else got, outcome.note]))]
        if outcome.decision:
            reasons = _terminal_reasons(outcome.decision, dry_run=dry_run)
            lines += [*reasons, *_terminal_duplicates(outcome.decision)]
    first = "; ".join(filter(None, (lines[0], one_line(outcome.owners))))
    lines[0] = f"{outcome.repo}#{outcome.number}: {first}"
    return "\n".join(f"{DRY_RUN if dry_run else ''}{line}" for line in lines)


def _terminal_reasons(decision: Decision, *, dry_run: bool) -> list[str]:
    """What supports each label, or why it is held back; without any, what the most probable labels lack."""
    rows, lines = list(_judged(decision, ("+", "=", "?", "-"), dry_run=dry_run)), []
    if decision.unjudged:
        what = "only labels of fixed rules" if decision.ruled else "no label"
        lines = [f"  {what}, since {decision.unjudged}"]
    elif decision.abstained:
        near = ranked(decision.scores)[:SCORES_SHOWN]
        names = ", ".join(f"{one_line(name)} {score:.2f}" for name, score in near)
        lines = [f"  no label; the highest scores were {names or 'none'}"]
        known = {*decision.held_back, *decision.suggested}
        rows += [("·", n, _shortfall(decision, n)) for n, _ in near if n not in known]
    width = max([len(one_line(name)) for _, name, _ in rows], default=0)
    return lines + [
        f"  {mark} {one_line(name):<{width}}  {_chance(decision, name):<15}  {one_line(reason)}"
        for mark, name, reason in rows
    ]


def _terminal_duplicates(decision: Decision) -> list[str]:
    numbers = ", ".join(f"#{n.number} ({n.encoder_similarity:.2f})" for n in decision.duplicates)
    return [f"  possible duplicate of {numbers}"] if numbers else []


def summary(outcomes: Sequence[LabelOutcome], *, url: Url, dry_run: bool, model: str) -> str:
    """The summary of a run; `url` gives the page of an issue, `model` describes what decided."""
    if len(outcomes) == 1:
        lines = list(_issue(outcomes[0], url, dry_run))
    else:
        lines = [*_overview(outcomes, url, dry_run), *_details(outcomes, url, dry_run)]
    changed = any(outcome.added for outcome in outcomes) and not dry_run
    hint = " If a label is wrong, remove it: it will not be set again." if changed else ""
    return "\n".join([*lines, f"<sub>Decided by {escape(model)}.{hint}</sub>", ""])


def _overview(outcomes: Sequence[LabelOutcome], url: Url, dry_run: bool) -> Iterator[str]:
    labelled = sum(bool(outcome.added) for outcome in outcomes)
    yield f"### {labelled} of {len(outcomes)} issues {'would be' if dry_run else 'were'} labelled"
    yield ""
    rows = [
        (_link(outcome, url), codes(outcome.added) or "none", escape(_note(outcome)))
        for outcome in outcomes[:ISSUES_SHOWN]
    ]
    if rows:
        yield from table(("issue", "labels", "note"), rows, more=len(outcomes) - len(rows))


def _note(outcome: LabelOutcome) -> str:
    held_back = outcome.decision.held_back if outcome.decision else {}
    unjudged = outcome.decision.unjudged if outcome.decision else ""
    notes = [note for note in (unjudged, outcome.note, outcome.owners) if note]
    return "; ".join([*notes, *(f"{name}: {reason}" for name, reason in held_back.items())])


def _details(outcomes: Sequence[LabelOutcome], url: Url, dry_run: bool) -> Iterator[str]:
    decided = [outcome for outcome in outcomes[:ISSUES_SHOWN] if outcome.decision]
    if decided:
        lines = (line for outcome in decided for line in _issue(outcome, url, dry_run))
        yield from details("Reasons, issue by issue", lines)


def _issue(outcome: LabelOutcome, url: Url, dry_run: bool) -> Iterator[str]:
    decision, link = outcome.decision, _link(outcome, url)
    if outcome.answer:
        yield from (f"### {link}: {escape(outcome.answer)}", "")
        return
    if decision is None:
        yield from (f"### {link} was left alone", "", _sentence(outcome.note), "")
        return
    verb = "would get" if dry_run else "got"
    if decision.carried and not outcome.added:
        yield from (f"### {link} has {codes(decision.carried)} already", "")
    else:
        yield from (f"### {link} {verb} {codes(outcome.added) or 'no label'}", "")
    for note in filter(None, (decision.unjudged, outcome.note, outcome.owners)):
        yield from (_sentence(note), "")
    if lead := _lead(decision):
        yield from (lead, "")
    if not decision.unjudged or decision.scores or decision.ruled:
        yield from _reasons(decision, dry_run=dry_run)
    if duplicates := possible_duplicates(decision, url):
        yield from (duplicates, "")
    yield from _neighbours(decision.voters, url)


def _lead(decision: Decision) -> str:
    """What supports the labels, or the most probable one if none is set, in a sentence; "" if nothing does."""
    names = decision.labels or decision.carried
    if not names:
        return _likeliest(decision)
    ruled = [name for name in names if name in decision.ruled]
    voted = [name for name in names if decision.sources.get(name) == NEIGHBOURS and decision.voters]
    described = [name for name in names if name not in (*voted, *ruled)]
    sentences = [f"{code(name)} is set by {escape(_support(decision, name))}." for name in ruled]
    if voted:
        first, *others = (f"{_carriers(decision, name)} {code(name)}" for name in voted)
        first = first.replace(" ", f" of the {len(decision.voters)} most similar issues are ", 1)
        sentences.append(f"{', '.join([first, *others])}.")
    if described:
        fit = "fits" if len(described) == 1 else "fit"
        sentences.append(f"{' and '.join(map(code, described))} {fit} by name and description.")
    return " ".join(sentences)


def _likeliest(decision: Decision) -> str:
    likeliest = ranked(decision.scores)[:1]
    if not likeliest or not decision.voters:
        return ""
    name, score = likeliest[0]
    return (
        f"The most probable label is {code(name)}, with {score:.2f}: "
        f"{_carriers(decision, name)} of the {len(decision.voters)} most similar issues have it."
    )


def _carriers(decision: Decision, name: str) -> int:
    """How many of the issues that voted carry the label."""
    label = fold(name)
    return sum(label in map(fold, neighbour.labels) for neighbour in decision.voters)


def _reasons(decision: Decision, *, dry_run: bool) -> Iterator[str]:
    rows = list(_judged(decision, ("✓", "✓", "?", "✗"), dry_run=dry_run))
    shown = {*decision.labels, *decision.held_back, *decision.suggested}
    rest = [name for name, _ in ranked(decision.scores) if name not in shown]
    rows += [("", name, _shortfall(decision, name)) for name in rest[: max(0, RUNNERS_UP - len(rows))]]
    if not rows:
        yield from ("No labels are known yet.", "")
        return
    cells = [(mark, name, in_code(_chance(decision, name)), reason) for mark, name, reason in rows]
    heads = ("", "label", "probability", "reason")
    yield from table(heads, cells, "^<<<", forms=(str, code, str, escape))


def _judged(decision: Decision, marks: Sequence[str], *, dry_run: bool) -> Iterator[tuple[str, str, str]]:
    """(mark, label, reason) of the labels that are set, that are there, that are suggested, and that are held back.

    `marks` are for these four.
    """
    set_, there, offered, held = marks
    other = {*decision.carried, *decision.suggested}
    for name in decision.labels:
        yield set_, name, _support(decision, name)
    for name in decision.carried:
        yield there, name, CARRIED
    for name in decision.suggested:
        yield offered, name, _suggestion(decision, name, dry_run=dry_run)
    for name, why in decision.held_back.items():
        if name not in other:
            yield held, name, f"held back: {why}"


def _suggestion(decision: Decision, name: str, *, dry_run: bool) -> str:
    """That a label is offered to the maintainers, and why it is not set."""
    reason = decision.held_back.get(name) or _shortfall(decision, name)
    return f"{'would suggest' if dry_run else 'suggested'}: {reason}"


def _shortfall(decision: Decision, name: str) -> str:
    """Why a label was not elected."""
    count, needed = decision.votes.get(name), decision.needed.get(name)
    if count is None:
        return "does not stand out by its name and description"
    votes = f"{count:.1f} of {len(decision.voters)} votes"
    if needed is None:
        return f"{votes}; votes alone never set this label"
    score, enough = decision.scores.get(name, 0.0), decision.enough.get(name, 0.0)
    if count >= needed and score < enough:
        closely = ", which it misses by less than 0.01" if look_alike(score, enough) else ""
        return f"{votes}; needs a probability of at least {enough:.2f}{closely}"
    return f"{votes}, {needed:.1f} needed"


def _neighbours(voters: Sequence[Neighbour], url: Url) -> Iterator[str]:
    if not voters:
        return
    shown = voters[:NEIGHBOURS_SHOWN]
    rows = [((n.number, url(n.repo, n.number)), f"{n.similarity:.2f}", n.labels) for n in shown]
    heads, forms = ("issue", "similarity", "labels"), (page_link, str, codes)
    lines = table(heads, rows, forms=forms, more=len(voters) - len(shown))
    yield from details(f"The {len(voters)} most similar issues voted", lines)


def _link(outcome: LabelOutcome, url: Url) -> str:
    return issue_link(outcome.number, url(outcome.repo, outcome.number))


def _sentence(text: str) -> str:
    return f"{escape(text[:1].upper() + text[1:])}."


def meter(score: float) -> str:
    """A probability as a bar and a number."""
    eighths = round(score * METER * 8)
    whole, part = divmod(eighths, 8)
    return f"{(BLOCKS[8] * whole + BLOCKS[part] * (part > 0)):<{METER}} {score:.2f}"


def in_code(text: str) -> str:
    """A `meter` as code in which no line breaks, for a cell of a table."""
    return f"<code>{text.replace(' ', NO_BREAK)}</code>"


def _chance(decision: Decision, name: str) -> str:
    """The probability of a label; one that only a fixed rule knows has none."""
    score = decision.scores.get(name)
    return "a fixed rule" if score is None else meter(score)


def _support(decision: Decision, name: str) -> str:
    """What sets a label: a fixed rule, votes, or its name and description."""
    if name in decision.ruled:
        return f"the rule '{decision.ruled[name]}'"
    if decision.sources.get(name) == NEIGHBOURS:
        return f"{decision.votes[name]:.1f} of {len(decision.voters)} votes"
    return "zero-shot, by its name and description"
