"""Public issues of many repositories, made ready to train models that all repositories share.

Nothing of a repository that is kept aside gets in (`triage.training.held_out`): it is refused here, at the only door.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from triage.config import PEOPLE_ONLY, PROCESS
from triage.decide.policy import matches
from triage.issue import Issue
from triage.text import readable
from triage.training.held_out import kept_aside

# A label with fewer uses in its repository teaches its wording more than its meaning.
LEAST_USES = 3
# A short line in so many issues of a repository comes from its form, not from who wrote the issue.
TEMPLATE_SHARE, TEMPLATE_LEAST, TEMPLATE_LENGTH = 0.03, 5, 120
# `[Bug]: crash`, `feat(ui): themes` and `Bug - crash` say in the title what is to be told from the rest.
_TAG = re.compile(
    r"^\s*(?:[\[(【][^\])】]{1,30}[\])】]\s*:?"
    r"|(?:bug|feature|feat|fix|docs?|question|enhancement|proposal|rfc|request)\b[^:\-]{0,20}[:\-])\s*",
    re.I,
)
# Names that repositories use for one thing; a repository that has but one of them may as well have had another.
SYNONYMS = (
    ("bug", "defect", "type: bug", "kind/bug", "C-bug", "bug report"),
    (
        "enhancement",
        "feature",
        "feature request",
        "new feature",
        "kind/feature",
        "type: enhancement",
        "improvement",
    ),
    ("question", "support", "help", "type: question", "kind/question", "usage question"),
    ("documentation", "docs", "doc", "kind/documentation", "area: docs"),
    ("performance", "perf", "optimization"),
    ("installation", "install", "setup"),
    ("ui", "ux", "frontend", "user interface"),
    ("tests", "testing", "ci", "area/testing"),
    ("security", "vulnerability"),
    ("refactor", "cleanup", "code quality"),
)
# What common labels mean, in words of our own: at times a label is met with its description.
MEANINGS: Mapping[str, tuple[str, ...]] = {
    "bug": ("something does not work as it should", "it breaks, crashes or gives a wrong result"),
    "enhancement": ("an improvement or something new", "a wish for better or additional behaviour"),
    "feature": ("a wish for something new", "asks for new functionality"),
    "feature request": ("a wish for something new", "asks for functionality that is not there yet"),
    "question": ("somebody asks how to do something", "asks for help or an explanation"),
    "support": ("somebody needs help with using it",),
    "documentation": ("the manual is wrong or lacks something", "concerns docs, examples or comments"),
    "docs": ("the manual is wrong or lacks something",),
    "performance": ("it is slow or takes too much memory",),
    "installation": ("setting it up, packages and dependencies",),
    "frontend": ("what is seen in the browser",),
    "backend": ("what runs on the server",),
    "ui": ("how it looks and how it is used",),
}


@dataclass(frozen=True)
class Group:
    """The issues of one repository: their labels as rows of `labels`, `template` its forms' lines."""

    repo: str
    issues: Sequence[Issue]
    labels: Sequence[str]
    carried: Sequence[tuple[int, ...]]
    template: frozenset[str]

    @cached_property
    def labelled(self) -> list[int]:
        """The rows that carry any label."""
        return [row for row, labels in enumerate(self.carried) if labels]

    @cached_property
    def by_label(self) -> list[list[int]]:
        """The rows of each label."""
        found: list[list[int]] = [[] for _ in self.labels]
        for row, labels in enumerate(self.carried):
            for label in labels:
                found[label].append(row)
        return found


def corpus(issues: Iterable[Issue]) -> list[Group]:
    """The repositories that may be learnt from, by name; each text once, pull requests and process labels left out."""
    found: dict[str, dict[str, Issue]] = defaultdict(dict)
    for issue in issues:
        if not (issue.kind != "issue" or kept_aside(issue.repo)):
            found[issue.repo].setdefault(issue.digest, issue)
    return [_group(repo, list(found[repo].values())) for repo in sorted(found)]


def _group(repo: str, issues: Sequence[Issue]) -> Group:
    unwanted = (*PROCESS, *PEOPLE_ONLY)
    uses = Counter(name for issue in issues for name in issue.labels if not matches(name, unwanted))
    names = sorted(name for name, count in uses.items() if count >= LEAST_USES)
    at = {name: row for row, name in enumerate(names)}
    carried = [tuple(sorted(at[name] for name in issue.labels if name in at)) for issue in issues]
    lines = Counter(line for issue in issues for line in set(issue.text.split("\n")[1:]))
    least = max(TEMPLATE_LEAST, TEMPLATE_SHARE * len(issues))
    template = frozenset(
        line for line, count in lines.items() if count >= least and len(line) <= TEMPLATE_LENGTH
    )
    return Group(repo, issues, names, carried, template)


def varied(group: Group, row: int, rng: np.random.Generator) -> str:
    """The text of an issue, half of the time without its title's tag, and half without its form's lines."""
    title, _, body = group.issues[row].text.partition("\n")
    if rng.random() < 0.5:
        title = _TAG.sub("", title) or title
    if rng.random() < 0.5:
        body = "\n".join(line for line in body.split("\n") if line not in group.template)
    return f"{title}\n{body}".strip()


def halves(group: Group, row: int, rng: np.random.Generator) -> tuple[str, str] | None:
    """Title and body apart; None where one of them says next to nothing."""
    title, _, body = varied(group, row, rng).partition("\n")
    return (title, body) if len(title) >= 15 and len(body) >= 60 else None


def renamed(group: Group, rng: np.random.Generator) -> list[str]:
    """The names of the group's labels, a common one at times as another repository would call it."""
    names = list(group.labels)
    words = [readable(name).lower() for name in names]
    for row in SYNONYMS:
        like = {readable(name).lower() for name in row}
        there = [at for at, word in enumerate(words) if word in like]
        if len(there) == 1 and rng.random() < 0.5:
            names[there[0]] = row[int(rng.integers(len(row)))]
    return names


def phrase(name: str, rng: np.random.Generator) -> str:
    """A label as it is served, with a description at times where there is one."""
    words = readable(name)
    meanings = MEANINGS.get(words.lower(), ())
    draw = rng.random()
    if meanings and draw < 0.4:
        return f"{words}: {meanings[int(rng.integers(len(meanings)))]}"
    return words.lower() if draw > 0.8 else words
