"""Owners by label: who is assigned to an issue, or asked to review a pull request, and which teams are mentioned.

A table of owners can be filled from who answers the issues of each label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from triage.config import AssignConfig, Config
from triage.decide.case import Attribution
from triage.github.errors import Rejected
from triage.github.graphql import AnsweredNode, LiveIssue
from triage.github.involvement import Involved, assign, read_involved, request_reviews
from triage.issue import TEAM, Issue, Names, distinct, fold, folded

if TYPE_CHECKING:
    from triage.label.writer import LabelWriter

# GitHub assigns no more accounts to an issue.
MOST = 10
# Fewer answers than this, or a smaller share of a label's answered issues, make nobody its owner.
LEAST, SHARE = 3, 0.1
MOST_OWNERS = 3


@dataclass(frozen=True)
class Owners:
    """The people (logins) and teams (`org/team`) that the labels of an issue ask for, without those involved before."""

    people: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()


def owners_of(
    table: Mapping[str, Sequence[str]],
    labels: Iterable[str],
    issue: Issue,
    involved: Involved,
    config: AssignConfig,
    who: Attribution,
) -> Owners:
    """The owners in `table` of an issue's `labels` who are to be involved now.

    The number of the issue, modulo the length of the list, chooses who comes first. So the choice needs no memory,
    takes turns, and is the same a second time. If the load of each account is given, the least busy come first. Once
    anybody else has involved people in the issue, nobody is added. Once an owner of a label was involved, no other
    owner of that label is.
    """
    if any(not who.is_own(event.actor) for event in involved.events):
        return Owners()
    names, ever = Names(table), folded(event.whom for event in involved.events)
    people, teams = list[str](), list[str]()
    for listed in (names[label] for label in labels if label in names):
        teams += (owner for owner in listed if is_team(owner))
        turn = _in_turn([owner for owner in listed if not is_team(owner)], issue.number, involved.load)
        if not folded(turn) & (ever | folded(people)):
            able = [login for login in turn if fold(login) != fold(issue.author)]
            people += able if config.choose == "all" else able[:1]
    room = max(0, min(config.max, MOST) - len(involved.now))
    return Owners(distinct(people)[:room], distinct(teams))


def is_team(owner: str) -> bool:
    return "/" in owner


def _in_turn(people: Sequence[str], number: int, load: Mapping[str, int]) -> list[str]:
    first = number % max(1, len(people))
    return sorted((*people[first:], *people[:first]), key=lambda login: load.get(login, 0))


def untouched(involved: Involved, who: Attribution) -> tuple[str, ...]:
    """The owners whom this bot involved, who are still involved, and whom nobody has added or removed since."""
    last = {fold(event.whom): event for event in involved.events}
    there = (last.get(fold(name)) for name in involved.now)
    return tuple(event.whom for event in there if event and event.added and who.is_own(event.actor))


@dataclass(frozen=True)
class OwnerDesk:
    """Involves the owners of labels, and undoes it."""

    writer: LabelWriter
    config: Config

    def involve(self, live: LiveIssue, added: Iterable[str], *, dry_run: bool) -> str:
        """Involve the owners of the labels `added` now, or by this bot before; what was or would be done, in words.

        Raises AccessError where the token may not do so.
        """
        who, issue, table = self.writer.who, live.issue, Names(self.config.owners)
        labels = [name for name in distinct((*added, *who.own_labels(issue))) if name in table]
        if not labels or live.state != "open" or issue.kind == "discussion":
            return ""
        listed = distinct(owner for name in labels for owner in table[name] if not is_team(owner))
        load_of = listed if self.config.assign.choose == "least-busy" else ()
        involved = read_involved(self.writer.tracker, live.node_id, load_of)
        owners = owners_of(table, labels, issue, involved, self.config.assign, who)
        if issue.kind == "pull request":
            return "; ".join(self._ask_for_reviews(live, owners, involved, dry_run))
        return "; ".join(self._assign(live, owners, dry_run))

    def take_back(self, live: LiveIssue, *, dry_run: bool) -> tuple[str, ...]:
        """Remove the owners whom the bot involved and nobody has changed since; returns them."""
        if not self.config.owners:
            return ()
        tracker, number = self.writer.tracker, live.issue.number
        involved = read_involved(tracker, live.node_id)
        mine = untouched(involved, self.writer.who)
        if not mine or dry_run:
            return mine
        if live.issue.kind == "pull request":
            request_reviews(tracker, number, mine, off=True)
        else:
            assign(tracker, number, mine, off=True)
        return mine

    def _assign(self, live: LiveIssue, owners: Owners, dry_run: bool) -> list[str]:
        people, teams, verb = owners.people, owners.teams, "would be" if dry_run else "was"
        if people and not dry_run:
            people = assign(self.writer.tracker, live.issue.number, people)
        if teams and not dry_run:
            self.writer.comment(live, {"owners": "\n".join(f"@{team}" for team in teams)})
        unable = [login for login in owners.people if login not in people]
        return [
            *([f"it {verb} assigned to {', '.join(people)}"] if people else ()),
            *([f"{', '.join(unable)} cannot be assigned: no access to the repository"] if unable else ()),
            *([f"{', '.join(teams)} {verb} mentioned"] if teams else ()),
        ]

    def _ask_for_reviews(
        self, live: LiveIssue, owners: Owners, involved: Involved, dry_run: bool
    ) -> list[str]:
        done = list[str]()
        ever = folded((*involved.now, *(event.whom for event in involved.events)))
        teams = tuple(team for team in owners.teams if fold(team) not in ever)
        for whom in filter(None, (owners.people, teams)):
            names = ", ".join(whom)
            try:
                if not dry_run:
                    request_reviews(self.writer.tracker, live.issue.number, whom)
            except Rejected as rejected:
                done.append(f"{names} cannot be asked for a review: {rejected.said}")
            else:
                done.append(f"{names} {'would be' if dry_run else 'was'} asked for a review")
        return done


@dataclass(frozen=True)
class Answerers:
    """Of the issues of a label, `answered` got an answer: from these people, each with their number of issues."""

    label: str
    answered: int
    people: tuple[tuple[str, int], ...]

    @property
    def suggested(self) -> tuple[str, ...]:
        """The people who answer enough issues to own the label, those with most answers first."""
        needed = max(LEAST, SHARE * self.answered)
        return tuple(login for login, count in self.people if count >= needed)[:MOST_OWNERS]


def answerers(
    issues: Iterable[AnsweredNode], since: datetime, is_owned: Callable[[str], bool]
) -> list[Answerers]:
    """For each label for which `is_owned`, who answered its issues since a moment; the most answered label first.

    An issue counts once for whoever commented on it. Only members of the project count, since nobody else can be
    assigned; what authors say on their own issues, and what bots say, is no answer.
    """
    counts: dict[str, Counter[str]] = {}
    answered: Counter[str] = Counter()
    for issue in issues:
        people = distinct(
            answer.author.login
            for answer in issue.answers
            if answer.author.type == "User"
            and answer.association in TEAM
            and answer.created_at >= since
            and fold(answer.author.login) != fold(issue.author.login)
        )
        for label in (
            Names({label.name: None for label in issue.labels if is_owned(label.name)}) if people else ()
        ):
            answered[label] += 1
            counts.setdefault(label, Counter()).update(people)
    order = sorted(counts, key=lambda label: (-answered[label], fold(label)))
    return [Answerers(label, answered[label], _ranked(counts[label])) for label in order]


def _ranked(counts: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda pair: (-pair[1], fold(pair[0]))))
