"""What a study is made of: labelled issues, issues without labels, and vectors of both."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

import numpy as np

from triage.arrays import Floats, Mask
from triage.config import Config
from triage.decide.policy import Policy
from triage.errors import DataError
from triage.issue import Issue
from triage.learn.dataset import Dataset, prepare
from triage.learn.provenance import Attribution
from triage.study.protocol import Texts
from triage.study.splits import Parts, divide

# Too few to split, learn and judge.
FEWEST = 40


@dataclass(frozen=True)
class DataLimits:
    """`least` uses that a label needs to be judged by; at most so many labelled issues, the newest, and unlabelled."""

    least: int = 20
    issues: int | None = None
    unlabelled: int = 1_000


@dataclass(frozen=True)
class StudyData:
    """`vectors` [n, d] go with `data`, `quiet` [u, d] with the issues without labels; oldest first both.

    `parts` are those of the labelled issues; split by time, no unlabelled issue is as new as the validation part.
    `dropped` counts what was left out, by reason.
    """

    data: Dataset
    vectors: Floats
    unlabelled: Sequence[Issue]
    quiet: Floats
    parts: Parts
    dropped: dict[str, int] = field(default_factory=dict)

    def texts(self, rows: Iterable[int]) -> Texts:
        """These of the labelled issues, as methods see them."""
        at = list(rows)
        return Texts([self.data.issues[i].text for i in at], self.vectors[at])

    def without_labels(self) -> Texts:
        """The issues without labels."""
        return Texts([issue.text for issue in self.unlabelled], self.quiet)

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of every text, label and vector."""
        found = hashlib.sha256()
        for issue in (*self.data.issues, *self.unlabelled):
            found.update(f"{issue.digest} {issue.created_at}\n".encode())
        arrays = (self.data.targets, self.vectors, self.quiet)
        for part in ("\n".join(self.data.names).encode(), *(array.tobytes() for array in arrays)):
            found.update(hashlib.sha256(part).digest())
        return found.hexdigest()

    def describe(self) -> dict[str, object]:
        """Sizes, label counts, cardinality and the lengths of texts in words, for the report."""
        counts, each = self.data.targets.sum(axis=0), self.data.targets.sum(axis=1)
        words = [len(issue.text.split()) for issue in self.data.issues]
        return {
            "repositories": sorted({issue.repo for issue in self.data.issues}),
            "labelled": len(self.data),
            "unlabelled": len(self.unlabelled),
            "from": f"{self.data.issues[0].created_at:%Y-%m-%d}" if self.data.dated else None,
            "to": f"{self.data.issues[-1].created_at:%Y-%m-%d}" if self.data.dated else None,
            "dropped": self.dropped,
            "labels": {name: int(n) for name, n in zip(self.data.names, counts, strict=True)},
            "cardinality": round(float(each.mean()), 4),
            "labels_an_issue": {str(n): int(c) for n, c in sorted(Counter(each.tolist()).items())},
            "words": words,
        }


def select(
    issues: Sequence[Issue], config: Config, voices: Attribution, limits: DataLimits
) -> tuple[Dataset, set[str], dict[str, int]]:
    """(labelled issues with the labels that can be judged by, digests of all labelled texts, what was left out).

    De-duplicated, without process labels and those that the policy never sets. Raises DataError where too little
    is left.
    """
    data = prepare(issues, config, voices)
    may_set, counts = Policy.of(config).may_set, data.targets.sum(axis=0)
    columns = [j for j, name in enumerate(data.names) if counts[j] >= limits.least and may_set(name) is None]
    targets: Mask = data.targets[:, columns]
    rows = np.flatnonzero(targets.any(axis=1))
    kept = rows[-limits.issues :] if limits.issues else rows
    if len(kept) < FEWEST:
        raise DataError(
            f"{len(kept)} labelled issues are left to study, of {len(data)}; it takes {FEWEST}",
            likely=f"few labels have {limits.least} uses and may be set by the configuration",
            next_step="pass a smaller --least, or collect more labelled issues",
        )
    used = np.flatnonzero(targets[kept].any(axis=0))
    names = [data.names[columns[j]] for j in used]
    narrowed = [
        replace(data.issues[i], labels=tuple(n for n in data.issues[i].labels if n in set(names)))
        for i in kept
    ]
    dropped = data.dropped | {"with rare labels alone": len(data) - len(rows)}
    dropped |= {"older than the newest asked for": len(rows) - len(kept)}
    study = Dataset(narrowed, names, targets[kept][:, used], {}, data.process)
    known = {issue.digest for issue in data.issues}
    return study, known, {why: n for why, n in dropped.items() if n}


def without_labels(
    issues: Sequence[Issue], known: Collection[str], most: int, before: datetime | None
) -> list[Issue]:
    """The newest issues without any label and none of the `known` texts, each text once, oldest first.

    With `before`, those that were opened earlier.
    """
    found: dict[str, Issue] = {}
    for issue in sorted(issues, key=lambda issue: (issue.repo, issue.number)):
        old = before is None or (issue.created_at is not None and issue.created_at < before)
        if old and not issue.labels and issue.kind == "issue" and issue.digest not in known:
            found[issue.digest] = issue
    ordered = sorted(found.values(), key=lambda i: (str(i.created_at or ""), i.repo, i.number))
    return ordered[-most:]


def gathered(
    issues: Sequence[Issue],
    config: Config,
    voices: Attribution,
    limits: DataLimits,
    embed: Callable[[Sequence[Issue]], Floats],
    split: str | None = None,
) -> StudyData:
    """Selected, divided and embedded; `embed` gives the vectors [n, d] of issues. Raises DataError."""
    data, known, dropped = select(issues, config, voices, limits)
    parts = divide(data, split)
    before = None if parts.horizon is None else data.issues[parts.horizon].created_at
    quiet = without_labels(issues, known, limits.unlabelled, before)
    vectors = embed([*data.issues, *quiet])
    return StudyData(data, vectors[: len(data)], quiet, vectors[len(data) :], parts, dropped)
