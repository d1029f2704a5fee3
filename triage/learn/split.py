"""Which rows are learnt from, tuned on and judged on.

By time wherever rows have dates, since that is how triage happens: every row that is tuned or judged on is
newer than the rows it is compared with. Without dates: iterative stratification (Sechidis et al., 2011), which
keeps each label's share, rare ones first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from triage.arrays import Ints, Mask
from triage.errors import DataError
from triage.learn.dataset import Dataset

# The first 40 % are only ever neighbours; the last 20 % are looked at once, when all is chosen.
TUNE_FROM, TEST_FROM = 0.4, 0.8
# Of very many rows no more than the newest so many are judged, and twice as many tuned on; more tell nothing new.
MOST_JUDGED = 20_000
BLOCKS = 6
FOLDS = 5
SEED = 0


@dataclass(frozen=True)
class Fold:
    """Rows to predict from other rows: none of `query` is in `known`."""

    known: Ints
    query: Ints


@dataclass(frozen=True)
class Split:
    """`tune` covers the tuning window piece by piece; `test.known` is everything outside the test window."""

    kind: str
    tune: tuple[Fold, ...]
    test: Fold

    def describe(self, data: Dataset) -> dict[str, str]:
        """For the manifest: the kind, the sizes and, by time, the dates where the windows begin."""
        tuned = np.concatenate([fold.query for fold in self.tune])
        said = {
            "kind": self.kind,
            "seed": str(SEED),
            "tune": str(len(tuned)),
            "test": str(len(self.test.query)),
            "train": str(len(data) - len(tuned) - len(self.test.query)),
        }
        if self.kind == "time":
            said["tune_from"] = str(data.issues[int(tuned[0])].created_at)
            said["test_from"] = str(data.issues[int(self.test.query[0])].created_at)
        return said


def split(data: Dataset, kind: str | None) -> Split:
    """Split by "time" or "stratified"; None: by time where every row has a date.

    Raises DataError where rows without a date are to be split by time.
    """
    if kind is None:
        kind = "time" if data.dated else "stratified"
    if kind == "time" and not data.dated:
        undated = sum(issue.created_at is None for issue in data.issues)
        raise DataError(
            f"{undated} of {len(data)} issues have no `created_at`, so they cannot be split by time",
            likely="the file was written without dates",
            next_step="add the dates, or pass --split stratified",
        )
    whole = _by_time(len(data)) if kind == "time" else _stratified(data.targets)
    labelled: Mask = np.asarray(data.targets.any(axis=1))

    def judged(fold: Fold) -> Fold:
        # What an issue without labels should get is not known: it is a neighbour only.
        return Fold(fold.known, fold.query[labelled[fold.query]])

    return Split(whole.kind, tuple(map(judged, whole.tune)), judged(whole.test))


def _by_time(n: int) -> Split:
    rows = np.arange(n)
    last = max(int(n * TEST_FROM), n - MOST_JUDGED)
    first = max(int(n * TUNE_FROM), last - 2 * MOST_JUDGED)
    blocks = [block for block in np.array_split(rows[first:last], BLOCKS) if len(block)]
    tune = tuple(Fold(rows[: block[0]], block) for block in blocks)
    nothing = Fold(rows[:0], rows[:0])
    return Split("time", tune or (nothing,), Fold(rows[:last], rows[last:]))


def _stratified(targets: Mask) -> Split:
    shares = [1 / FOLDS] * FOLDS
    parts = stratify(targets, shares, seed=SEED)
    test, seen = parts[0], np.sort(np.concatenate(parts[1:]))
    most = MOST_JUDGED // (FOLDS - 1) * 2
    tune = tuple(Fold(np.setdiff1d(seen, part), part[:most]) for part in parts[1:])
    return Split("stratified", tune, Fold(seen, test[:MOST_JUDGED]))


def stratify(targets: Mask, shares: Sequence[float], *, seed: int) -> list[Ints]:
    """Disjoint parts of the rows of `targets` [n, L] with about the given shares of rows and of each label.

    Iterative stratification: the rarest label still open is dealt out first, each of its rows to the part that
    lacks it most; rows without labels come last. Deterministic under `seed`.
    """
    rng = np.random.default_rng(seed)
    part_of = np.full(len(targets), -1)
    room = np.array(shares, dtype=float) * len(targets)
    wanted = np.outer(shares, targets.sum(axis=0)).astype(float)
    open_rows = rng.permutation(len(targets))
    while len(open_rows):
        counts = targets[open_rows].sum(axis=0)
        if counts.max(initial=0) == 0:
            chosen, label = open_rows, None
        else:
            label = int(np.where(counts > 0, counts, counts.max() + 1).argmin())
            chosen = open_rows[targets[open_rows, label]]
        for row in chosen:
            lack = room if label is None else wanted[:, label]
            best = np.lexsort((rng.random(len(room)), -room, -lack))[0]
            part_of[row] = best
            room[best] -= 1
            wanted[best] -= targets[row]
        open_rows = open_rows[part_of[open_rows] < 0]
    return [np.flatnonzero(part_of == part) for part in range(len(room))]
