"""Issues as values."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Literal, TypeVar

from triage.text import digest, render

T = TypeVar("T")
Key = tuple[str, int]
Kind = Literal["issue", "pull request", "discussion"]
# In the order in which they are read.
KINDS: tuple[Kind, ...] = ("issue", "pull request", "discussion")

# Bundles hold numbers in 64 bits.
MAX_NUMBER = 2**63 - 1
ActKind = Literal["commented", "closed", "assigned", "milestoned", "renamed"]
# How GitHub calls those who may deal with other people's issues.
TEAM = ("OWNER", "MEMBER", "COLLABORATOR")

# GitHub's GraphQL API holds numbers of issues in 32 bits, and answers greater ones as if a limit were reached.
MOST_ISSUES = 2**31 - 1


# Labels are learnt from the first changed files of a pull request: as many as GitHub lists at once.
FILES_LEARNT = 100

# The name of a label, a repository or an account as GitHub compares it: without case.
fold = str.casefold
# An issue type, and the category of a discussion, is a label whose name begins so; only `github/` tells them apart.
TYPE, CATEGORY = "issue type: ", "discussion category: "
is_type = re.compile(TYPE, re.ASCII | re.IGNORECASE).match
is_category = re.compile(CATEGORY, re.ASCII | re.IGNORECASE).match


# The same labels are asked about for every issue.
@lru_cache(maxsize=1024)
def native(name: str) -> str:
    """Which of GitHub's own exclusive groups the label is of, TYPE or CATEGORY; empty for a label like any other."""
    return TYPE if is_type(name) else CATEGORY if is_category(name) else ""


def folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(map(fold, names))


class Names(Mapping[str, T]):
    """Values by the names of labels, found under any spelling.

    Of two spellings of one name the first is kept, with the value of the last.
    """

    def __init__(self, values: Mapping[str, T]) -> None:
        self._spelt: dict[str, str] = {}
        self._values: dict[str, T] = {}
        for name, value in values.items():
            self._spelt.setdefault(fold(name), name)
            self._values[fold(name)] = value

    def __getitem__(self, name: str) -> T:
        return self._values[fold(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._spelt.values())

    def __len__(self) -> int:
        return len(self._spelt)

    def items(self) -> ItemsView[str, T]:
        return dict(zip(self._spelt.values(), self._values.values(), strict=True)).items()

    def __repr__(self) -> str:
        return f"Names({dict(self.items())!r})"

    def among(self, names: Iterable[str]) -> dict[str, T]:
        """The values of those of the names that are here, each as it is given."""
        return {name: self._values[fold(name)] for name in names if fold(name) in self._values}

    def spelt(self, name: str) -> str:
        """The name as it is spelt here, or as given if it is not here."""
        return self._spelt.get(fold(name), name)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name matches any of the patterns, in which `*` and `?` are wildcards; ignores case."""
    return matching(tuple(patterns)).match(fold(name)) is not None


@lru_cache(maxsize=256)
def matching(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """The patterns as one, which matches folded names; see `matches`."""
    # Brackets are common in label names, so they are not character classes.
    regexes = [fnmatch.translate(fold(pattern).replace("[", "[[]")) for pattern in patterns]
    return re.compile("|".join(regexes) or r"(?!)")


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each once, as it is spelt first."""
    return tuple(Names(dict.fromkeys(names)))


@dataclass(frozen=True)
class RepositoryIds:
    """A repository and its `labels`, by name, with their ids on GitHub: these stay when names change."""

    name: str
    id: str
    labels: dict[str, str] = field(default_factory=dict)

    def known_as(self, ids: Iterable[RepositoryIds], names: Iterable[str]) -> str | None:
        """The one of these `names` that means this repository: by the `ids` of some of them, else by its own name."""
        recorded, names = {other.name: other.id for other in ids}, list(names)
        by_id = [name for name in names if recorded.get(name) == self.id]
        by_name = [name for name in names if name not in recorded and fold(name) == fold(self.name)]
        return next(iter(by_id + by_name), None)


def present_names(names: Iterable[str], before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """What these labels are called now, given ids by name: a renamed label is found by its id, others by their names.

    Of two spellings the first of `names` is kept. Empty: the label was deleted, and another one has its name.
    """
    ids, here, names = Names(before), Names(now), list(names)
    by_id = {label_id: name for name, label_id in now.items()}
    found = {name: by_id[ids[name]] for name in names if ids.get(name) in by_id}
    taken = folded(found.values())
    for name in names:
        if name not in found:
            found[name] = "" if name in ids and fold(name) in taken else here.spelt(name)
    spellings = Names(dict.fromkeys(found[name] for name in names))
    return {name: spellings.spelt(found[name]) for name in names}


@dataclass(frozen=True)
class LabelEvent:
    """A label added to an issue or removed from it: by whom and when.

    `accepted`: this bot set it, since the actor accepted its suggestion.
    """

    label: str
    added: bool
    actor: str
    actor_is_bot: bool
    at: datetime
    accepted: bool = False


@dataclass(frozen=True)
class Act:
    """What an account did with an issue. `actor`: its login, "" where that is not known; `association`: GitHub's word
    for its part in the repository.
    """

    kind: ActKind
    actor: str = ""
    association: str = ""


def handlers(acts: Iterable[Act], author: str, association: str) -> tuple[str, ...]:
    """Who of the maintainers dealt with the issue: closed, answered or renamed it, assigned it, put it on a milestone.

    Only maintainers can assign, and set milestones. Authors can close and rename their own issues, which says nothing
    unless they are maintainers themselves; and anybody can comment. What bots do does not count; bots with an ordinary
    account are known by a login that ends in `bot`. An unknown account is GitHub's `ghost`.
    """

    def tells(act: Act) -> bool:
        by_other = not act.actor or act.actor != author
        if act.actor.casefold().rstrip("]").endswith("bot"):
            return False
        if act.kind == "commented":
            return by_other and act.association in TEAM
        return act.kind in ("assigned", "milestoned") or by_other or association in TEAM

    return tuple(dict.fromkeys(act.actor or "ghost" for act in acts if tells(act)))


@dataclass(frozen=True)
class TextBeforeEdit:
    """Title and body before an edit; None: the edit did not change that part. `known`: that much is certain."""

    title: str | None = None
    body: str | None = None
    known: bool = True


@dataclass(frozen=True)
class TextEdit:
    """A change of title or body: by whom and when, and the text before it."""

    actor: str
    actor_is_bot: bool
    at: datetime
    before: TextBeforeEdit = field(default=TextBeforeEdit(known=False), repr=False)


@dataclass(frozen=True)
class Issue:
    """An issue as it is to be labelled; identified by (repository, number) everywhere.

    `handled`: whether a maintainer dealt with it, apart from labels; None where that is not known. It tells an issue
    that people left without a label from one that nobody has read. `handled_by` are the logins of those who did, if
    known: some may be bots (`triage.decide.case.Attribution.handled`).
    `association` is the author's to the repository, as GitHub names it ("": unknown). Of the `edits`, all of the title
    are known, and of the body at least the last. `files` are the paths that a pull request changes; None: not read.
    """

    repo: str
    number: int
    title: str
    body: str = ""
    created_at: datetime | None = None
    kind: Kind = "issue"
    author: str = ""
    labels: tuple[str, ...] = ()
    events: tuple[LabelEvent, ...] | None = field(default=None, repr=False)
    handled: bool | None = None
    handled_by: tuple[str, ...] = ()
    association: str = field(default="", compare=False)
    edits: tuple[TextEdit, ...] = field(default=(), compare=False, repr=False)
    files: tuple[str, ...] | None = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> Key:
        return self.repo, self.number

    @cached_property
    def text(self) -> str:
        return render(self.title, self.body)

    @cached_property
    def digest(self) -> str:
        return digest(self.text)


def with_one_spelling(issues: Sequence[Issue], known: Iterable[str] = ()) -> list[Issue]:
    """The issues with one spelling of each label: one that is `known`, else the most frequent."""
    uses = Counter(name for issue in issues for name in _named(issue))
    here = frozenset(known)
    spellings = Names(dict.fromkeys(sorted(uses, key=lambda name: (name not in here, -uses[name], name))))
    others = {name: spellings.spelt(name) for name in uses if spellings.spelt(name) != name}
    return [relabelled(issue, others) if others else issue for issue in issues]


def relabelled(issue: Issue, names: Mapping[str, str]) -> Issue:
    """The issue with these new names of labels, in its history too."""
    if names.keys().isdisjoint(_named(issue)):
        return issue
    events = issue.events and tuple(replace(e, label=names.get(e.label, e.label)) for e in issue.events)
    return replace(issue, labels=distinct(names.get(name, name) for name in issue.labels), events=events)


def _named(issue: Issue) -> tuple[str, ...]:
    return (*issue.labels, *(event.label for event in issue.events or ()))


def format_time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
