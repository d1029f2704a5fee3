"""Public issues of many repositories, prepared for training models that all repositories share.

Issues of held-out repositories (`triage.training.held_out`) are dropped here, where all training data passes.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from triage.config import PEOPLE_ONLY, PROCESS
from triage.issue import Issue, matches
from triage.text import readable
from triage.training.held_out import kept_aside

# A label with fewer uses in its repository teaches its name more than its meaning.
LEAST_USES = 3
# A short line in this share of a repository's issues comes from its form, not from the author.
TEMPLATE_SHARE, TEMPLATE_LEAST, TEMPLATE_LENGTH = 0.03, 5, 120
# `[Bug]: crash`, `feat(ui): themes` and `Bug - crash` give the label away in the title.
_TAG = re.compile(
    r"^\s*(?:[\[(【][^\])】]{1,30}[\])】]\s*:?"
    r"|(?:bug|feature|feat|fix|docs?|question|enhancement|proposal|rfc|request)\b[^:\-]{0,20}[:\-])\s*",
    re.I,
)
# Our own descriptions of common labels; training sometimes shows a label with one of them.
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
    """The issues of one repository; `carried` index `labels`, `template` holds the lines of its issue forms."""

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
        rows: list[list[int]] = [[] for _ in self.labels]
        for row, labels in enumerate(self.carried):
            for label in labels:
                rows[label].append(row)
        return rows


def corpus(issues: Iterable[Issue]) -> list[Group]:
    """The repositories that may be learnt from, by name; each text once, without process labels."""
    return [_group(repo, rows) for repo, rows in grouped(issues, lambda repo: not kept_aside(repo)).items()]


def grouped(issues: Iterable[Issue], wanted: Callable[[str], bool]) -> dict[str, list[Issue]]:
    """The issues (no pull requests) of each repository that is `wanted`, by name; each text once."""
    by_text: dict[str, dict[str, Issue]] = defaultdict(dict)
    for issue in issues:
        if issue.kind == "issue" and wanted(issue.repo):
            by_text[issue.repo].setdefault(issue.digest, issue)
    return {repo: list(by_text[repo].values()) for repo in sorted(by_text)}


def label_names(issues: Iterable[Issue], least: int) -> list[str]:
    """The labels with `least` uses, by name, without process labels and those that only people set."""
    unwanted = (*PROCESS, *PEOPLE_ONLY)
    uses = Counter(name for issue in issues for name in issue.labels if not matches(name, unwanted))
    return sorted(name for name, count in uses.items() if count >= least)


def _group(repo: str, issues: Sequence[Issue]) -> Group:
    names = label_names(issues, LEAST_USES)
    at = {name: row for row, name in enumerate(names)}
    carried = [tuple(sorted(at[name] for name in issue.labels if name in at)) for issue in issues]
    lines = Counter(line for issue in issues for line in set(issue.text.split("\n")[1:]))
    least = max(TEMPLATE_LEAST, TEMPLATE_SHARE * len(issues))
    template = frozenset(
        line for line, count in lines.items() if count >= least and len(line) <= TEMPLATE_LENGTH
    )
    return Group(repo, issues, names, carried, template)


# Repositories are drawn by the number of their issues to this power, so that large ones do not dominate.
FLATTEN = 0.6


def draw(groups: Sequence[Group], sizes: Sequence[int], rng: np.random.Generator) -> Group:
    """One repository, by its size to the power FLATTEN."""
    weights = np.asarray(sizes, dtype=float) ** FLATTEN
    return groups[int(rng.choice(len(groups), p=weights / weights.sum()))]


def some_rows(group: Group, count: int, rng: np.random.Generator) -> list[int]:
    """Up to `count` labelled rows: half of them drawn by label, so that rare labels share a batch."""
    chosen: dict[int, None] = {}
    for label in rng.integers(len(group.labels), size=count // 4):
        rows = group.by_label[int(label)]
        chosen |= dict.fromkeys(int(row) for row in rng.choice(rows, size=min(2, len(rows)), replace=False))
    for row in rng.permutation(group.labelled):
        if len(chosen) >= count:
            break
        chosen[int(row)] = None
    return list(chosen)


def varied(group: Group, row: int, rng: np.random.Generator) -> str:
    """The text of an issue, half of the time without its title's tag, and half without its form's lines."""
    title, _, body = group.issues[row].text.partition("\n")
    if rng.random() < 0.5:
        title = _TAG.sub("", title) or title
    if rng.random() < 0.5:
        body = "\n".join(line for line in body.split("\n") if line not in group.template)
    return f"{title}\n{body}".strip()


def halves(group: Group, row: int, rng: np.random.Generator) -> tuple[str, str] | None:
    """(title, body); None where one of them is too short to match by."""
    title, _, body = varied(group, row, rng).partition("\n")
    return (title, body) if len(title) >= 15 and len(body) >= 60 else None


def phrase(name: str, rng: np.random.Generator) -> str:
    """A label as it is served, sometimes with one of its MEANINGS."""
    words = readable(name)
    meanings = MEANINGS.get(words.lower(), ())
    draw = rng.random()
    if meanings and draw < 0.4:
        return f"{words}: {meanings[int(rng.integers(len(meanings)))]}"
    return words.lower() if draw > 0.8 else words
