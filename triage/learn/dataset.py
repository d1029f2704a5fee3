"""Labelled issues made ready to learn from: filtered, de-duplicated, in time order, as a matrix of labels."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from triage.config import Config
from triage.decide.policy import matches
from triage.errors import DataError
from triage.issue import Issue, Key

Mask = npt.NDArray[np.bool_]
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Dataset:
    """Labelled issues, oldest first, and which of `names` each carries: `targets` [n, L].

    `dropped` counts the rows left out, by reason.
    """

    issues: Sequence[Issue]
    names: Sequence[str]
    targets: Mask
    dropped: dict[str, int]

    def __len__(self) -> int:
        return len(self.issues)

    @property
    def dated(self) -> bool:
        return all(issue.created_at is not None for issue in self.issues)

    def keys(self, rows: Iterable[int]) -> list[Key]:
        """(repository, number) of each of these rows."""
        return [self.issues[i].key for i in rows]

    def labels(self, rows: Iterable[int]) -> list[tuple[str, ...]]:
        """The label names of each of these rows."""
        return [self.issues[i].labels for i in rows]


def prepare(issues: Iterable[Issue], config: Config) -> Dataset:
    """Drop pull requests (unless learnt from), process labels, unlabelled issues and repeated texts.

    Of issues with the same rendered text the newest stays: its labels are what maintainers would say today.
    Raises DataError where no labelled issue is left.
    """
    dropped: Counter[str] = Counter()
    by_text: dict[str, Issue] = {}
    for issue in sorted(issues, key=_age):
        if issue.is_pull_request and not config.learn.pull_requests:
            dropped["pull requests"] += 1
            continue
        labels = tuple(sorted(name for name in issue.labels if not matches(name, config.learn.ignore)))
        if not labels:
            dropped["without a label to learn"] += 1
            continue
        if by_text.pop(issue.digest, None) is not None:
            dropped["repeated texts"] += 1
        by_text[issue.digest] = dataclasses.replace(issue, labels=labels)
    kept = list(by_text.values())
    if not kept:
        raise DataError(
            "no labelled issue is left to learn from",
            likely="the issues carry no labels, or all of them match `learn.ignore`",
            next_step="label some issues first, or describe labels in the configuration and go without a bundle",
        )
    names = sorted({name for issue in kept for name in issue.labels})
    at = {name: j for j, name in enumerate(names)}
    targets = np.zeros((len(kept), len(names)), dtype=bool)
    for i, issue in enumerate(kept):
        targets[i, [at[name] for name in issue.labels]] = True
    return Dataset(kept, names, targets, dict(dropped))


def _age(issue: Issue) -> tuple[datetime, str, int]:
    return issue.created_at or LONG_AGO, issue.repo, issue.number
