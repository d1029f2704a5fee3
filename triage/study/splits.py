"""Train, validation and test as in the chapter, 50 / 25 / 25, and training slices that contain one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from triage.arrays import Ints, Mask
from triage.errors import DataError
from triage.learn.dataset import Dataset
from triage.learn.split import stratify

SHARES = (0.5, 0.25, 0.25)
SEED = 0
FIRST = 8


@dataclass(frozen=True)
class Parts:
    """Disjoint rows, each in the order of time. `kind` is "time" or "stratified"."""

    kind: str
    train: Ints
    validation: Ints
    test: Ints

    @property
    def horizon(self) -> int | None:
        """The first row that is not learnt from, where time matters: what is newer is not known yet."""
        return int(self.validation[0]) if self.kind == "time" else None


def divide(data: Dataset, kind: str | None = None) -> Parts:
    """By time (the default where every issue has a date): the oldest half to learn from, the newest quarter to judge.

    "stratified" deals them out by iterative stratification, seed 0. Raises DataError for time without dates.
    """
    if kind is None:
        kind = "time" if data.dated else "stratified"
    if kind == "time" and not data.dated:
        raise DataError(
            "issues without `created_at` cannot be split by time",
            likely="the file was written without dates",
            next_step="add the dates, or pass --split stratified",
        )
    if kind == "stratified":
        return Parts(kind, *stratify(data.targets, SHARES, seed=SEED))
    rows = np.arange(len(data))
    ends = (round(len(data) * SHARES[0]), round(len(data) * (SHARES[0] + SHARES[1])))
    return Parts(kind, *np.split(rows, ends))


def sizes(most: int, given: Sequence[int] | None = None) -> list[int]:
    """8, 16, 32, … and all; or those given that are smaller, if any, and all."""
    wanted = [FIRST << i for i in range(32)] if given is None else given
    return [size for size in sorted(set(wanted)) if size < most] + [most]


def slices(targets: Mask, train: Ints, wanted: Sequence[int], seed: int) -> dict[int, Ints]:
    """size → that many rows of `train`, each slice containing all smaller ones; `targets` [n, L] are of all rows.

    Each is drawn from the next larger one by iterative stratification, so that labels keep their shares as long
    as there are enough rows. Equal seeds draw equal slices.
    """
    found: dict[int, Ints] = {}
    rows, rng = train, np.random.default_rng(seed)
    for size in sorted(wanted, reverse=True):
        if size < len(rows):
            kept, rest = stratify(targets[rows], (size / len(rows), 1 - size / len(rows)), seed=seed)
            kept, rest = rng.permutation(kept), rng.permutation(rest)
            # The shares are met but for a few rows.
            rows = np.sort(rows[np.concatenate([kept, rest])[:size]])
        found[size] = rows
    return dict(sorted(found.items()))
