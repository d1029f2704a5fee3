"""Labelled issues made ready to learn from: filtered, de-duplicated, in time order, as a matrix of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from triage.arrays import Mask
from triage.config import Config
from triage.decide.policy import matches
from triage.errors import DataError
from triage.issue import Issue, Key
from triage.learn.provenance import Attribution, process_by_evidence, provenance_of, with_present_names

if TYPE_CHECKING:
    from triage.bundle.bundle import Bundle

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Dataset:
    """Labelled issues, oldest first, and which of `names` each carries: `targets` [n, L].

    `dropped` counts the rows left out, by reason; `process` are labels left out on evidence, with it.
    """

    issues: Sequence[Issue]
    names: Sequence[str]
    targets: Mask
    dropped: dict[str, int]
    process: dict[str, str] = field(default_factory=dict)

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

    def count_new(self, active: Bundle) -> int:
        """How many issues the active bundle does not hold with these labels."""
        held = dict(zip(active.rows.keys, active.rows.labels, strict=True))
        return sum(held.get(issue.key) != issue.labels for issue in self.issues)


def prepare(issues: Iterable[Issue], config: Config, voices: Attribution | None = None) -> Dataset:
    """Keep what people said: drop pull requests (unless learnt from), process labels, and repeated texts.

    `voices` tell people from bots where the issues have a history. An issue on which people only took labels away
    stays, without labels: it is a neighbour that speaks against them. One with labels that bots set and nobody
    judged goes: which labels it lacks is not known. Of issues with the same rendered text the newest stays: its
    labels are what maintainers would say today. Raises DataError where no labelled issue is left.
    """
    voices, given = voices or Attribution.of(config), list(issues)
    known = with_present_names([i for i in given if i.kind in config.learn.kinds])
    process = process_by_evidence(known, voices)
    dropped = Counter({"pull requests": len(given) - len(known)})
    by_text: dict[str, Issue] = {}
    for issue in sorted(known, key=_age):
        said = provenance_of(issue, voices)
        labels = _learnable(said.positive, config, process)
        if {"bot", "me"} & set(said.unjudged.values()):
            dropped["with a bot's label that nobody judged"] += 1
        elif not labels and not _learnable(said.negative, config, process):
            dropped["without a label to learn"] += 1
        else:
            dropped["repeated texts"] += by_text.pop(issue.digest, None) is not None
            by_text[issue.digest] = replace(issue, labels=labels)
    names = sorted({name for issue in by_text.values() for name in issue.labels})
    if not names:
        raise DataError(
            "no labelled issue is left to learn from",
            likely="the issues carry no labels that people set, or all of them match `learn.ignore`",
            next_step="label some issues first, or describe labels in the configuration and do without a bundle",
        )
    kept = list(by_text.values())
    at = {name: j for j, name in enumerate(names)}
    targets = np.zeros((len(kept), len(names)), dtype=bool)
    for i, issue in enumerate(kept):
        targets[i, [at[name] for name in issue.labels]] = True
    return Dataset(kept, names, targets, {why: n for why, n in dropped.items() if n}, process)


def _learnable(names: Iterable[str], config: Config, process: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(n for n in names if n not in process and not matches(n, config.learn.ignore)))


def _age(issue: Issue) -> tuple[datetime, str, int]:
    return issue.created_at or LONG_AGO, issue.repo, issue.number
