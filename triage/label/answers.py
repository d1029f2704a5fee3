"""Who answers the issues of each label: what a table of owners can be filled from. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from triage.github.graphql import AnsweredNode
from triage.issue import TEAM, Names, distinct, fold

# Fewer answers than this, or a smaller share of a label's answered issues, make nobody its owner.
LEAST, SHARE = 3, 0.1
MOST_OWNERS = 3


@dataclass(frozen=True)
class Answerers:
    """Of the issues of a label, `answered` got an answer: from these people, each with their number of issues."""

    label: str
    answered: int
    people: tuple[tuple[str, int], ...]

    @property
    def suggested(self) -> tuple[str, ...]:
        """Those who answer enough of them to own the label, the busiest first."""
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
            answer.author
            for answer in issue.answers
            if answer.author_type == "User"
            and answer.association in TEAM
            and answer.created_at >= since
            and fold(answer.author) != fold(issue.author)
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
