"""Keys and labels of many issues, as they lie in a bundle's arrays: looked up one by one, never parsed whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from triage.errors import BundleError
from triage.issue import Key

Ints = npt.NDArray[np.int64]


class PackedKeys(Sequence[Key]):
    """The (repository, number) of each row; `rows` int64 [n, 2] holds an index into `repos` and the number."""

    def __init__(self, repos: Sequence[str], rows: Ints) -> None:
        if rows.ndim != 2 or rows.shape[1:] != (2,):
            raise BundleError(f"rows of shape {rows.shape} are no keys")
        self.repos, self.rows = repos, rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Key: ...
    @overload
    def __getitem__(self, at: slice) -> PackedKeys: ...
    def __getitem__(self, at: int | slice) -> Key | PackedKeys:
        if isinstance(at, slice):
            return PackedKeys(self.repos, self.rows[at])
        repo, number = self.rows[at].tolist()
        return _named(self.repos, repo), number

    def __iter__(self) -> Iterator[Key]:
        return ((_named(self.repos, repo), number) for repo, number in self.rows.tolist())

    def find(self, keys: Sequence[Key]) -> list[int | None]:
        """The row of each key; None where it has none."""
        place = {repo: i for i, repo in enumerate(self.repos)}
        wanted = {(place.get(repo, -1), number): i for i, (repo, number) in enumerate(keys)}
        found: list[int | None] = [None] * len(keys)
        same_number = np.isin(self.rows[:, 1], [number for _, number in keys])
        for row in np.flatnonzero(same_number).tolist():
            at = wanted.get(tuple(self.rows[row].tolist()))
            if at is not None:
                found[at] = row
        return found

    def of(self, repo: str) -> npt.NDArray[np.bool_]:
        """Which rows are of the repository, [n]."""
        place = self.repos.index(repo) if repo in self.repos else -1
        mine: npt.NDArray[np.bool_] = self.rows[:, 0] == place
        return mine


class PackedLabels(Sequence[tuple[str, ...]]):
    """The label names of each row: `names[flat[offsets[i]]]` up to, and excluding, `offsets[i + 1]`."""

    def __init__(self, names: Sequence[str], flat: npt.NDArray[np.int32], offsets: Ints) -> None:
        if flat.ndim != 1 or offsets.ndim != 1 or not len(offsets):
            raise BundleError("the labels of the rows are no lists")
        self.names, self.flat, self.offsets = names, flat, offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, at: int) -> tuple[str, ...]: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[tuple[str, ...]]: ...
    def __getitem__(self, at: int | slice) -> tuple[str, ...] | Sequence[tuple[str, ...]]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        first, last = self.offsets[at : at + 2].tolist()
        if not 0 <= first <= last <= len(self.flat):
            raise BundleError(f"the labels of row {at} lie outside of the file")
        return tuple(_named(self.names, i) for i in self.flat[first:last].tolist())


def _named(names: Sequence[str], at: int) -> str:
    if not 0 <= at < len(names):
        raise BundleError(f"a row names entry {at} of {len(names)}")
    return names[at]
