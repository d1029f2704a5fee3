"""The data of a study: labelled issues in three parts, issues without labels, and vectors of both.

Train, validation and test as in the chapter, 50 / 25 / 25, and training slices that contain one another.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

import numpy as np

from triage.arrays import Floats, Ints, Mask
from triage.config import Config
from triage.decide.case import Attribution
from triage.decide.policy import Policy
from triage.errors import DataError
from triage.issue import Issue
from triage.learn.dataset import Dataset, prepare, split_kind, stratify
from triage.study.protocol import Texts

# Fewer are too few to split, learn and judge.
FEWEST = 40
SHARES = (0.5, 0.25, 0.25)
SEED = 0
SMALLEST_SLICE = 8


@dataclass(frozen=True)
class DataLimits:
    """`least` uses that a label needs; the newest `issues` labelled issues (None: all) and `unlabelled` others."""

    least: int = 20
    issues: int | None = None
    unlabelled: int = 1_000


@dataclass(frozen=True)
class Parts:
    """Disjoint rows, each in the order of time. `kind` is "time" or "stratified"."""

    kind: str
    train: Ints
    validation: Ints
    test: Ints

    @property
    def horizon(self) -> int | None:
        """Split by time: the first row that is not learnt from; newer issues must not be seen."""
        return int(self.validation[0]) if self.kind == "time" else None


@dataclass(frozen=True)
class StudyData:
    """Labelled issues with `vectors` [n, d], issues without labels with `quiet` [u, d]; oldest first both.

    `parts` divide the labelled issues; split by time, all unlabelled issues are older than the validation part.
    `dropped` counts the issues left out, by reason.
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
        return Texts(
            [self.data.issues[i].text for i in at], self.vectors[at], [self.data.files[i] for i in at]
        )

    def without_labels(self) -> Texts:
        """The issues without labels."""
        return Texts([issue.text for issue in self.unlabelled], self.quiet)

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of every text, changed file, label and vector."""
        state = hashlib.sha256()
        for issue in (*self.data.issues, *self.unlabelled):
            state.update(f"{issue.digest} {issue.created_at} {issue.files}\n".encode())
        arrays = (self.data.targets, self.vectors, self.quiet)
        for part in ("\n".join(self.data.names).encode(), *(array.tobytes() for array in arrays)):
            state.update(hashlib.sha256(part).digest())
        return state.hexdigest()

    def describe(self) -> dict[str, object]:
        """Sizes, label counts, cardinality and the lengths of texts in words, for the report."""
        of_label, of_issue = self.data.targets.sum(axis=0), self.data.targets.sum(axis=1)
        dates = [f"{issue.created_at:%Y-%m-%d}" for issue in self.data.issues if issue.created_at]
        return {
            "repositories": sorted({issue.repo for issue in self.data.issues}),
            "labelled": len(self.data),
            "unlabelled": len(self.unlabelled),
            "from": dates[0] if dates else None,
            "to": dates[-1] if dates else None,
            "undated": self.data.undated,
            "dropped": self.dropped,
            "labels": {name: int(n) for name, n in zip(self.data.names, of_label, strict=True)},
            "cardinality": round(float(of_issue.mean()), 4),
            "labels_an_issue": {str(n): int(c) for n, c in sorted(Counter(of_issue.tolist()).items())},
            "words": [len(issue.text.split()) for issue in self.data.issues],
        }


def load_data(
    issues: Sequence[Issue],
    config: Config,
    attribution: Attribution,
    limits: DataLimits,
    embed: Callable[[Sequence[Issue]], Floats],
    split: str | None = None,
) -> StudyData:
    """Select, divide and embed; `embed` gives the vectors [n, d] of issues. Raises DataError."""
    data, known, dropped = select(issues, config, attribution, limits)
    parts = divide(data, split)
    before = None if parts.horizon is None else data.issues[parts.horizon].created_at
    quiet = without_labels(issues, known, limits.unlabelled, before)
    vectors = embed([*data.issues, *quiet])
    return StudyData(data, vectors[: len(data)], quiet, vectors[len(data) :], parts, dropped)


def select(
    issues: Sequence[Issue], config: Config, attribution: Attribution, limits: DataLimits
) -> tuple[Dataset, set[str], dict[str, int]]:
    """(labelled issues with frequent enough labels, digests of all labelled texts, counts of those left out).

    De-duplicated, without process labels and those that the policy never sets. Raises DataError where too little
    is left.
    """
    data = prepare(issues, config, attribution)
    may_set, counts = Policy.of(config).may_set, data.targets.sum(axis=0)
    columns = [j for j, name in enumerate(data.names) if counts[j] >= limits.least and may_set(name) is None]
    targets: Mask = data.targets[:, columns]
    rows = np.flatnonzero(targets.any(axis=1))
    kept = rows[-limits.issues :] if limits.issues else rows
    if len(kept) < FEWEST:
        raise DataError(
            f"{len(kept)} labelled issues are left to study, of {len(data)}; it takes {FEWEST}",
            likely=f"few of the labels that may be set have {limits.least} uses or more",
            next_step="pass a smaller --min-examples, or collect more labelled issues",
        )
    used = np.flatnonzero(targets[kept].any(axis=0))
    names = [data.names[columns[j]] for j in used]
    narrowed = [
        replace(data.issues[i], labels=tuple(n for n in data.issues[i].labels if n in set(names)))
        for i in kept
    ]
    dropped = data.dropped | {"with rare labels alone": len(data) - len(rows)}
    dropped |= {"older than the newest asked for": len(rows) - len(kept)}
    selected = Dataset(narrowed, names, targets[kept][:, used], {}, data.process)
    digests = {issue.digest for issue in data.issues}
    return selected, digests, {reason: n for reason, n in dropped.items() if n}


def without_labels(
    issues: Sequence[Issue], known: Collection[str], most: int, before: datetime | None
) -> list[Issue]:
    """The newest issues without any label and none of the `known` texts, each text once, oldest first.

    With `before`, those that were opened earlier.
    """
    by_text: dict[str, Issue] = {}
    for issue in sorted(issues, key=lambda issue: (issue.repo, issue.number)):
        old = before is None or (issue.created_at is not None and issue.created_at < before)
        if old and not issue.labels and issue.kind == "issue" and issue.digest not in known:
            by_text[issue.digest] = issue
    ordered = sorted(by_text.values(), key=lambda i: (str(i.created_at or ""), i.repo, i.number))
    return ordered[-most:]


def divide(data: Dataset, kind: str | None = None) -> Parts:
    """By time, the oldest half to learn from and the newest quarter to judge on; or by iterative stratification.

    `kind` as in `split_kind`. Raises DataError for time without dates.
    """
    kind = split_kind(data, kind)
    if kind == "stratified":
        return Parts(kind, *stratify(data.targets, SHARES, seed=SEED))
    rows = np.arange(len(data))
    ends = (round(len(data) * SHARES[0]), round(len(data) * (SHARES[0] + SHARES[1])))
    return Parts(kind, *np.split(rows, ends))


def sizes(most: int, given: Sequence[int] | None = None) -> list[int]:
    """8, 16, 32, … and all; or those given that are smaller, if any, and all."""
    wanted = [SMALLEST_SLICE << i for i in range(32)] if given is None else given
    return [size for size in sorted(set(wanted)) if size < most] + [most]


def slices(targets: Mask, train: Ints, wanted: Sequence[int], seed: int) -> dict[int, Ints]:
    """size → that many rows of `train`, each slice containing all smaller ones; `targets` [n, L] are of all rows.

    Each is drawn from the next larger one by iterative stratification, so that labels keep their shares as long
    as there are enough rows. Equal seeds draw equal slices.
    """
    by_size: dict[int, Ints] = {}
    rows, rng = train, np.random.default_rng(seed)
    for size in sorted(wanted, reverse=True):
        if size < len(rows):
            kept, rest = stratify(targets[rows], (size / len(rows), 1 - size / len(rows)), seed=seed)
            kept, rest = rng.permutation(kept), rng.permutation(rest)
            # Stratification misses the shares by a few rows.
            rows = np.sort(rows[np.concatenate([kept, rest])[:size]])
        by_size[size] = rows
    return dict(sorted(by_size.items()))
