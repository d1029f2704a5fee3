"""Keys and labels of many issues, as they lie in a bundle's arrays: read block by block, never parsed whole.

A block is what is known of the issues of one list of the index, and is checked against its own hash before anything in
it is believed: labelling an issue reads the blocks of its neighbours and no others.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import overload

import numpy as np

from triage.arrays import Bytes, Ints, Ints32
from triage.errors import BundleError
from triage.issue import Key


@dataclass(frozen=True)
class LazyRows:
    """What is known of n issues; block j is of the rows from `bounds[j]` up to, and excluding, `bounds[j + 1]`.

    `rows` int64 [n, 2] holds the index of a repository and a number; the labels of row i are the indices
    `labels[offsets[i]:offsets[i + 1]]`, int32, `offsets` int64 [n + 1]; `hashes` uint8 [l, 32] are of the blocks. The
    first three may be views of files. Raises BundleError where these do not fit.
    """

    rows: Ints
    labels: Ints32
    offsets: Ints
    bounds: Ints
    hashes: Bytes
    _read: dict[int, tuple[Ints, Ints32, Ints]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        n, blocks = len(self.rows), len(self.bounds) - 1
        kinds = self.rows.dtype, self.labels.dtype, self.offsets.dtype
        fits = (
            kinds == (np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.int64))
            and self.rows.shape == (n, 2)
            and self.labels.ndim == 1
            and self.offsets.shape == (n + 1,)
            and self.hashes.shape == (blocks, 32)
        )
        if not fits or self.bounds[0] != 0 or self.bounds[-1] != n:
            raise BundleError("what is known of the indexed issues does not fit the index")

    def __len__(self) -> int:
        return len(self.rows)

    def block(self, at: int) -> tuple[Ints, Ints32, Ints]:
        """Copies of the rows, labels and offsets of a block. Raises BundleError where it is not what was saved."""
        if at not in self._read:
            held = _cut(self.rows, self.labels, self.offsets, *self.bounds[at : at + 2].tolist())
            if _hash_of(*held) != self.hashes[at].tobytes():
                raise BundleError(
                    f"what is known of the issues of list {at} was changed: its hash is another"
                )
            self._read[at] = held
        return self._read[at]

    def key(self, at: int) -> list[int]:
        """The index of the repository and the number of row `at`."""
        block = self._block_of(at)
        found: list[int] = self.block(block)[0][at - self._starts[block]].tolist()
        return found

    def labels_of(self, at: int) -> list[int]:
        """The indices of the labels of row `at`."""
        block = self._block_of(at)
        _, labels, offsets = self.block(block)
        place = at - self._starts[block]
        first, last = (offsets[place : place + 2] - offsets[0]).tolist()
        if not 0 <= first <= last <= len(labels):
            raise BundleError(f"the labels of row {at} lie outside of the file")
        found: list[int] = labels[first:last].tolist()
        return found

    def verify(self) -> None:
        """Read every block. Raises BundleError for the first that was changed."""
        for at in range(len(self.hashes)):
            self.block(at)

    def _block_of(self, at: int) -> int:
        return bisect_right(self._starts, at) - 1

    @cached_property
    def _starts(self) -> list[int]:
        starts: list[int] = self.bounds.tolist()
        return starts


def table(rows: Ints, labels: Ints32, offsets: Ints, bounds: Ints) -> LazyRows:
    """The table of these arrays, with its hashes; see `LazyRows`."""
    hashes = [_hash_of(*_cut(rows, labels, offsets, a, b)) for a, b in pairwise(bounds.tolist())]
    digests = np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, 32)
    return LazyRows(rows, labels, offsets, bounds, digests)


class LazyKeys(Sequence[Key]):
    """The (repository, number) of each row of a table."""

    def __init__(self, repos: Sequence[str], known: LazyRows) -> None:
        self.repos, self.table = repos, known

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, at: int) -> Key: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Key]: ...
    def __getitem__(self, at: int | slice) -> Key | Sequence[Key]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        repo, number = self.table.key(at)
        return _named(self.repos, repo), number

    def __iter__(self) -> Iterator[Key]:
        return ((_named(self.repos, repo), number) for repo, number in self._all().tolist())

    def find(self, keys: Sequence[Key]) -> list[int | None]:
        """The row of each key; None where it has none. Reads every block."""
        place = {repo: i for i, repo in enumerate(self.repos)}
        wanted = {(place.get(repo, -1), number): i for i, (repo, number) in enumerate(keys)}
        found: list[int | None] = [None] * len(keys)
        rows = self._all()
        same_number = np.isin(rows[:, 1], [number for _, number in keys])
        for row in np.flatnonzero(same_number).tolist():
            at = wanted.get(tuple(rows[row].tolist()))
            if at is not None:
                found[at] = row
        return found

    def _all(self) -> Ints:
        self.table.verify()
        return self.table.rows


class LazyLabels(Sequence[tuple[str, ...]]):
    """The label names of each row of a table."""

    def __init__(self, names: Sequence[str], known: LazyRows) -> None:
        self.names, self.table = names, known

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, at: int) -> tuple[str, ...]: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[tuple[str, ...]]: ...
    def __getitem__(self, at: int | slice) -> tuple[str, ...] | Sequence[tuple[str, ...]]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        return tuple(_named(self.names, i) for i in self.table.labels_of(at))


def _cut(rows: Ints, labels: Ints32, offsets: Ints, first: int, last: int) -> tuple[Ints, Ints32, Ints]:
    """Copies of what is known of the rows from `first` up to, and excluding, `last`."""
    ends = offsets[first : last + 1].copy()
    start, stop = ends[[0, -1]].tolist()
    return rows[first:last].copy(), labels[max(0, start) : max(0, stop)].copy(), ends


def _hash_of(rows: Ints, labels: Ints32, offsets: Ints) -> bytes:
    return hashlib.sha256(rows.tobytes() + offsets.tobytes() + labels.tobytes()).digest()


def _named(names: Sequence[str], at: int) -> str:
    if not 0 <= at < len(names):
        raise BundleError(f"a row names entry {at} of {len(names)}")
    return names[at]
