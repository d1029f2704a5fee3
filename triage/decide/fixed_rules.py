"""Fixed rules: what the maintainers know without learning. Deterministic, applied before the vote."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from triage.config import ConditionConfig, RuleConfig
from triage.issue import Issue, Names, fold, folded
from triage.patterns import globs, regex

# GitHub writes an answer of an issue form below a heading of the third level.
_HEADING = "### "
_TICK_BOX = re.compile(r"- \[([ xX])\] +(\S.*)")
NO_ANSWER = "_no response_"


@dataclass(frozen=True)
class Ruling:
    """What the fixed rules say of one issue.

    `set` maps each label to the rule that sets it, in the order of the rules; `barred` maps each label that the issue
    must not get to the reason.
    """

    set: Mapping[str, str] = field(default_factory=dict)
    barred: Names[str] = field(default_factory=lambda: Names({}))


NO_RULING = Ruling()


@dataclass(frozen=True)
class FixedRules:
    """The rules of a configuration, in order."""

    rules: Sequence[RuleConfig] = ()

    @cached_property
    def named(self) -> list[tuple[str, RuleConfig]]:
        """Each rule with its name, or else its place, counted from 1."""
        return [(rule.name or f"rule {i}", rule) for i, rule in enumerate(self.rules, start=1)]

    def on(self, issue: Issue) -> Ruling:
        """What the rules say of an issue."""
        set_by: dict[str, str] = {}
        barred: dict[str, str] = {}
        required: dict[str, list[str]] = {}
        met: set[str] = set()
        for name, rule in self.named:
            if not concerns(rule, issue):
                continue
            fires = applies(rule.when, issue)
            for label in rule.require:
                required.setdefault(fold(label), []).append(name)
            if fires:
                set_by |= {label: name for label in rule.set if fold(label) not in folded(set_by)}
                barred |= {label: f"the rule {name!r} bars it" for label in rule.bar}
                met |= folded(rule.require)
        for label, names in required.items():
            if label not in met:
                barred[label] = f"it needs the rule {names[0]!r}, which does not apply"
        return Ruling(set_by, Names(barred))


def concerns(rule: RuleConfig, issue: Issue) -> bool:
    """Whether a rule applies to this kind of item: a rule about changed files applies to pull requests only."""
    return issue.kind == "pull request" or not rule.reads_files


def applies(when: ConditionConfig, issue: Issue) -> bool:
    """Whether all parts of a condition hold for an issue."""
    return all(holds(issue) for holds in _tests(when))


def _tests(when: ConditionConfig) -> Iterator[Callable[[Issue], bool]]:
    """The tests of a condition, cheap ones first."""
    if when.association:
        yield lambda issue: issue.association in when.association
    if when.title:
        yield lambda issue: all(regex(pattern)(_lines(issue.title)) for pattern in when.title)
    if when.body:
        yield lambda issue: all(regex(pattern)(_lines(issue.body)) for pattern in when.body)
    if when.form:
        yield lambda issue: _is_answered(answers(issue.body), when.form)
    if when.files:
        yield lambda issue: any(map(globs(when.files), issue.files or ()))
    if when.all_files:
        yield lambda issue: bool(issue.files) and all(map(globs(when.all_files), issue.files or ()))


def _lines(text: str) -> str:
    """The text with the line ends that `$` and `^` know."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _is_answered(given: Mapping[str, Sequence[str]], wanted: Mapping[str, Sequence[str]]) -> bool:
    """Whether each field was answered with one of its wanted options."""
    return all(not folded(given.get(fold(name), ())).isdisjoint(folded(wanted[name])) for name in wanted)


def answers(body: str) -> dict[str, tuple[str, ...]]:
    """The answers to an issue form, by the field's label in lower case: as a whole, and each of several options.

    GitHub separates several options of a list by commas, and writes check boxes as a list. If two fields have the same
    name, the first counts, so that text further down cannot pose as an answer.
    """
    fields: dict[str, list[str]] = {}
    current: list[str] = []
    for line in _lines(body).split("\n"):
        if line.startswith(_HEADING):
            current = []
            fields.setdefault(fold(line.removeprefix(_HEADING).strip()), current)
        elif line.strip():
            current.append(line.strip())
    return {name: tuple(_options(lines)) for name, lines in fields.items()}


def _options(lines: Sequence[str]) -> Iterator[str]:
    boxes = [_TICK_BOX.fullmatch(line) for line in lines]
    if lines and all(boxes):
        yield from (box[2] for box in boxes if box and box[1] in "xX")
        return
    whole = "\n".join(lines)
    if not whole or fold(whole) == NO_ANSWER:
        return
    yield whole
    if len(lines) == 1 and ", " in whole:
        yield from (option.strip() for option in whole.split(", "))
