"""What a backfill would do, issue by issue, as lines of JSON: a header, an entry for each issue, an end.

    {"kind": "triage-plan", "format": 1, "repo": …}   under what the plan was made, and what it promises
    {"number": 7, "labels": ["bug"], …}               one issue; nothing is set where `labels` is empty
    {"complete": true}                                the last line: the file was not cut short

Lines of entries may be deleted by hand: what is not there is not done.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeVar

from triage.config import Config
from triage.decide.decision import Decision
from triage.decide.policy import Policy
from triage.decide.rules import Rules
from triage.errors import DataError
from triage.issue import MAX_NUMBER, Issue
from triage.schema import SchemaError, build, is_utf8, option

KIND, FORMAT = "triage-plan", 1
END = json.dumps({"complete": True}) + "\n"
MAX_TITLE = 120
# A share of fewer issues says nothing.
ENOUGH = 10
ANEW = "make the plan again with `triage backfill --from`"

T = TypeVar("T")


@dataclass(frozen=True)
class Promise:
    """What was measured of a label on issues newer than those learnt from; None: never measured."""

    precision: float | None = None
    predicted: int = 0

    @property
    def reliable(self) -> float | None:
        """The precision, or None where it was measured on fewer than ENOUGH issues."""
        return self.precision if self.predicted >= ENOUGH else None

    def describe(self) -> str:
        """The precision in words, with the number of issues it was measured on."""
        if self.precision is None:
            return "never measured"
        few = ", too few to tell" if self.reliable is None else ""
        return f"{self.precision:.0%} right of {self.predicted}{few}"


@dataclass(frozen=True)
class Header:
    """Under what a plan was made: equal headers but for `created_at`, equal plans.

    `policy` is the fingerprint of what the configuration says of labels, `source` of the file read (empty: GitHub),
    `filters` are the options that chose the issues, `shard` is "i/n" or empty. `figures` are the bundle's, measured
    on its newest window.
    """

    repo: str
    bundle: str
    created_at: str
    policy: str
    source: str = ""
    filters: dict[str, str] = field(default_factory=dict)
    shard: str = ""
    promises: dict[str, Promise] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    kind: str = option(KIND, "", choices=(KIND,))
    format: int = FORMAT


@dataclass(frozen=True)
class Entry:
    """The plan for one issue.

    `labels` would be set, best first, with their `scores`; `existing` are there. Of those, `missed` are the ones
    that the same rules would not have set. `held_back` tells why an elected label is not set; what is there already
    is not told again. `locked` is None where a file does not say; `note` tells why the issue is left alone.
    """

    number: int = option(1, "", low=1, high=MAX_NUMBER)
    title: str = ""
    labels: tuple[str, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    existing: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    held_back: dict[str, str] = field(default_factory=dict)
    locked: bool | None = None
    note: str = ""


def entry_of(issue: Issue, decision: Decision, known: Collection[str], locked: bool | None) -> Entry:
    """The entry of a decision that knew the labels there; `known` are those that the bot could set."""
    if decision.left_alone:
        return Entry(issue.number, title_of(issue), existing=issue.labels, note=decision.left_alone)
    held_back = {name: why for name, why in decision.held_back.items() if name not in issue.labels}
    missed = (name for name in issue.labels if name in known and name not in decision.sources)
    return Entry(
        number=issue.number,
        title=title_of(issue),
        labels=decision.labels,
        scores={name: round(decision.scores[name], 4) for name in decision.labels},
        existing=issue.labels,
        missed=tuple(missed),
        held_back=held_back,
        locked=locked,
    )


def title_of(issue: Issue) -> str:
    """The title on one line, cut short, as JSON and UTF-8 can carry it."""
    flat = " ".join(issue.title.split())
    cut = flat if len(flat) <= MAX_TITLE else flat[: MAX_TITLE - 1] + "…"
    return cut if is_utf8(cut) else cut.encode(errors="replace").decode()


def fingerprint(config: Config) -> str:
    """Of all that the configuration says about which labels may be set, and where."""
    act = config.act
    issues = act.pull_requests, act.skip_authors, act.skip_bots
    said = [dataclasses.asdict(Policy.of(config)), config.labels.create, issues]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def settable(rules: Rules, described: Collection[str], policy: Policy) -> frozenset[str]:
    """The labels that deciding can come up with and the policy lets be set."""
    names = {rule.name for rule in rules.labels if rule.votes is not None or rule.name in rules.rare}
    return frozenset(name for name in names | set(described) if policy.may_set(name) is None)


def promises(rules: Rules, names: Collection[str]) -> dict[str, Promise]:
    """What tuning measured of each of these labels on the window that was held out of the index then."""
    known = rules.by_name
    return {
        name: Promise(known[name].precision, known[name].predicted) if name in known else Promise()
        for name in sorted(names)
    }


def line(value: Header | Entry) -> str:
    """The value as a line; what an entry leaves at its default is left out."""
    data = dataclasses.asdict(value)
    if isinstance(value, Entry):
        blank = dataclasses.asdict(Entry())
        data = {name: item for name, item in data.items() if name == "number" or item != blank[name]}
    return json.dumps(data, ensure_ascii=False) + "\n"


def read_header(text: str, where: str) -> Header:
    """The header in a plan's first line. Raises DataError that names `where`."""
    data = _decoded(text, where)
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise DataError(f"{where}: not the first line of a plan", likely="another file", next_step=ANEW)
    if data.get("format") != FORMAT:
        raise DataError(
            f"{where}: the plan's format is {data.get('format')!r:.20}, this version of triage reads {FORMAT}",
            likely="another version of triage made it",
            next_step=ANEW,
        )
    return _built(Header, data, where)


def read_entry(text: str, where: str) -> Entry:
    """The entry in a line. Raises DataError that names `where` and the field."""
    data = _decoded(text, where)
    if isinstance(data, dict) and "number" not in data:
        raise DataError(f"{where}: in 'number': missing", next_step=ANEW)
    entry = _built(Entry, data, where)
    if bare := [name for name in entry.labels if name not in entry.scores]:
        raise DataError(f"{where}: in 'scores': the label {bare[0]!r:.60} has none", next_step=ANEW)
    return entry


def _built(cls: type[T], data: object, where: str) -> T:
    try:
        return build(cls, data)
    except SchemaError as error:
        raise DataError(f"{where}: {error}", next_step=ANEW) from None


def _decoded(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"{where}: not valid JSON", next_step=ANEW) from None
