"""The files of a compressed index: vectors as codes, and keys and labels that are read block by block.

Labelling one issue reads the lists near it and the blocks of its neighbours, each checked against its own hash before
it is used. Where no label is shared between repositories, an issue is searched in the slice of its own repository
only, and an empty machine downloads no more than that slice.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, cast

import numpy as np

from triage.arrays import AnyArray, Bytes, Data, Ints, Ints32
from triage.engine.index import IvfCodes
from triage.engine.ivf_build import refuse_below_floor
from triage.errors import BundleError
from triage.files import npy, view
from triage.issue import Key, RepositoryIds
from triage.schema import convert, decoded

# Not read when a bundle is loaded: each list and block is checked against its own hash when it is read.
MAPPED = ("index-codes.npy", "index-rows.npy", "index-labels.npy", "index-offsets.npy")
CODES, ROWS, LABELS, OFFSETS = MAPPED
CENTROIDS, OWNERS, BOUNDS = "index-centroids.npy", "index-owners.npy", "index-bounds.npy"
# The arrays of `IvfCodes` and of `LazyRows` that are files.
IN_CODES = {
    "centroids": np.float32,
    "ranges": np.float32,
    "codes": np.uint8,
    "bounds": np.int64,
    "hashes": np.uint8,
    "owners": np.int64,
}
IN_ROWS = {"rows": np.int64, "labels": np.int32, "offsets": np.int64}


@dataclass(frozen=True)
class LazyRows:
    """Keys and labels of n issues in l blocks, one for each list of the index.

    `rows` int64 [n, 2]: index of the repository, issue number. The labels of row i are the indices
    `labels[offsets[i]:offsets[i + 1]]`, int32; `offsets` int64 [n + 1]. Block j holds the rows from `bounds[j]` up to,
    and excluding, `bounds[j + 1]`; `hashes` uint8 [l, 32] are the blocks' sha256. The first three arrays may be views
    of files. Raises BundleError where the shapes do not match.
    """

    rows: Ints
    labels: Ints32
    offsets: Ints
    bounds: Ints
    hashes: Bytes
    _read: dict[int, tuple[Ints, Ints32, Ints]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        n, blocks = len(self.rows), len(self.bounds) - 1
        fits = (
            all(getattr(self, name).dtype == kind for name, kind in IN_ROWS.items())
            and self.rows.shape == (n, 2)
            and self.labels.ndim == 1
            and self.offsets.shape == (n + 1,)
            and self.hashes.shape == (blocks, 32)
        )
        if not fits or self.bounds[0] != 0 or self.bounds[-1] != n:
            raise BundleError("the keys and labels of the indexed issues do not match the index")

    @classmethod
    def hashed(cls, rows: Ints, labels: Ints32, offsets: Ints, bounds: Ints) -> LazyRows:
        """With the hashes of these arrays' blocks."""
        hashes = [_hash_of(*_copied(rows, labels, offsets, a, b)) for a, b in pairwise(bounds.tolist())]
        return cls(rows, labels, offsets, bounds, np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32))

    def __len__(self) -> int:
        return len(self.rows)

    def block(self, at: int) -> tuple[Ints, Ints32, Ints]:
        """Copies of the rows, labels and offsets of a block. Raises BundleError where its hash is another."""
        if at not in self._read:
            block = _copied(self.rows, self.labels, self.offsets, *self.bounds[at : at + 2].tolist())
            if _hash_of(*block) != self.hashes[at].tobytes():
                raise BundleError(f"the keys and labels of list {at} were changed: their hash is another")
            if (block[0] < 0).any() or (np.diff(block[2]) < 0).any():
                raise BundleError(f"the keys and labels of list {at} are no rows of issues")
            self._read[at] = block
        return self._read[at]

    def key(self, at: int) -> tuple[int, int]:
        """The index of the repository and the number of row `at`."""
        block = self._block_of(at)
        repo, number = self.block(block)[0][at - self._starts[block]].tolist()
        return repo, number

    def labels_of(self, at: int) -> list[int]:
        """The indices of the labels of row `at`."""
        block = self._block_of(at)
        _, labels, offsets = self.block(block)
        place = at - self._starts[block]
        first, last = (offsets[place : place + 2] - offsets[0]).tolist()
        if not 0 <= first <= last <= len(labels):
            raise BundleError(f"the labels of row {at} lie outside of the file")
        return list(map(int, labels[first:last]))

    def verify(self) -> None:
        """Read every block. Raises BundleError for the first that was changed."""
        for at in range(len(self.hashes)):
            self.block(at)

    def _block_of(self, at: int) -> int:
        if not 0 <= at < len(self):
            # The end, where a sequence is iterated over.
            raise IndexError(at)
        return bisect_right(self._starts, at) - 1

    @cached_property
    def _starts(self) -> list[int]:
        return list(map(int, self.bounds))


class LazyKeys(Sequence[Key]):
    """The (repository, number) of each row."""

    def __init__(self, repos: Sequence[str], table: LazyRows) -> None:
        self.repos, self.table = repos, table

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, at: Any) -> Any:
        repo, number = self.table.key(at)
        return _name(self.repos, repo), number

    def __iter__(self) -> Iterator[Key]:
        self.table.verify()
        return ((_name(self.repos, repo), number) for repo, number in self.table.rows.tolist())

    def find(self, keys: Sequence[Key]) -> list[int | None]:
        """The row of each key; None where it has none. Reads every block."""
        self.table.verify()
        rows = self.table.rows
        repo_index = {repo: i for i, repo in enumerate(self.repos)}
        wanted = {(repo_index.get(repo, -1), number): i for i, (repo, number) in enumerate(keys)}
        places: list[int | None] = [None] * len(keys)
        for row in np.flatnonzero(np.isin(rows[:, 1], [number for _, number in keys])).tolist():
            at = wanted.get(tuple(rows[row].tolist()))
            if at is not None:
                places[at] = row
        return places


class LazyLabels(Sequence[tuple[str, ...]]):
    """The label names of each row."""

    def __init__(self, names: Sequence[str], table: LazyRows) -> None:
        self.names, self.table = names, table

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, at: Any) -> Any:
        # A label that is gone has no name, and two may have become one.
        return tuple(dict.fromkeys(filter(None, (_name(self.names, i) for i in self.table.labels_of(at)))))


def _copied(rows: Ints, labels: Ints32, offsets: Ints, first: int, last: int) -> tuple[Ints, Ints32, Ints]:
    """Copies of the rows from `first` up to, and excluding, `last`, with their labels and offsets."""
    ends = offsets[first : last + 1].copy()
    start, stop = ends[[0, -1]].tolist()
    return rows[first:last].copy(), labels[max(0, start) : max(0, stop)].copy(), ends


def _hash_of(rows: Ints, labels: Ints32, offsets: Ints) -> bytes:
    return hashlib.sha256(rows.tobytes() + offsets.tobytes() + labels.tobytes()).digest()


def ids_of(stated: Mapping[str, Any]) -> tuple[RepositoryIds, ...]:
    """The ids in a bundle's `rules.json`. Raises SchemaError."""
    return cast(tuple[RepositoryIds, ...], convert(tuple[RepositoryIds, ...], stated.get("ids", []), "ids"))


def _name(names: Sequence[str], at: int) -> str:
    if not 0 <= at < len(names):
        raise BundleError(f"a row names entry {at} of {len(names)}")
    return names[at]


def index_files(codes: IvfCodes, table: LazyRows) -> dict[str, bytes]:
    """The index, its keys and its labels as files."""
    arrays = {name: getattr(codes, name) for name in IN_CODES} | {
        name: getattr(table, name) for name in IN_ROWS
    }
    return {f"index-{name}.npy": npy(array) for name, array in {**arrays, "blocks": table.hashes}.items()}


def index_from(arrays: Mapping[str, AnyArray], probes: int, recall: float) -> tuple[IvfCodes, LazyRows]:
    """The inverse of `index_files`. Raises BundleError for too low a recall and for arrays that do not match."""
    refuse_below_floor(recall)
    checked: dict[str, Any] = {}
    for name, kind in {**IN_CODES, **IN_ROWS, "blocks": np.uint8}.items():
        checked[name] = arrays[f"index-{name}.npy"]
        # Of another kind, it would have to be read whole to be converted.
        if checked[name].dtype != kind:
            raise BundleError(
                f"index-{name}.npy holds {checked[name].dtype} where {np.dtype(kind)} is needed"
            )
    codes = IvfCodes(**{name: checked[name] for name in IN_CODES}, probes=probes)
    rows = {name: checked[name] for name in IN_ROWS}
    return codes, LazyRows(**rows, bounds=codes.bounds, hashes=checked["blocks"])


@dataclass(frozen=True)
class RepositorySlice:
    """The lists and the rows of one repository, as (first, stop)."""

    lists: tuple[int, int]
    rows: tuple[int, int]

    @classmethod
    def of(cls, repo: RepositoryIds, files: Mapping[str, Data], where: str) -> RepositorySlice | None:
        """The slice that issues of `repo` are searched in; None where that is the whole index.

        `files` are those that are read whole, OWNERS among them, not checked yet. A repository without lists gets the
        first one. Raises BundleError where the files do not match.
        """
        try:
            stated: Any = decoded(bytes(files["rules.json"]))
            if stated["rules"].get("shared") != []:
                return None
            repos = list(map(str, stated["repositories"]))
            known_as = repo.known_as(ids_of(stated), repos)
            owners, bounds = (
                view(files[name], f"{where}: {name}").astype(np.int64) for name in (OWNERS, BOUNDS)
            )
            own = np.flatnonzero(owners == repos.index(known_as)) if known_as else np.array([0])
            first, stop = int(own[0]), int(own[-1]) + 1
            rows = int(bounds[first]), int(bounds[stop])
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise BundleError(f"{where}: its files do not match ({error})") from None
        if not 0 <= rows[0] <= rows[1]:
            raise BundleError(f"{where}: its files do not match (rows from {rows[0]} to {rows[1]})")
        return cls((first, stop), rows)

    def cut(self, codes: IvfCodes, table: LazyRows) -> tuple[IvfCodes, LazyRows]:
        """The index of the slice: to be searched, not to be saved."""
        (first, stop), (start, end) = self.lists, self.rows
        bounds = codes.bounds[first : stop + 1] - start
        own_codes = replace(
            codes,
            centroids=codes.centroids[first:stop],
            codes=codes.codes[start:end],
            bounds=bounds,
            hashes=codes.hashes[first:stop],
            owners=codes.owners[first:stop],
            probes=min(codes.probes, stop - first),
        )
        # Offsets still point into the labels of all rows, so that the hashes of blocks stay valid.
        offsets, hashes = table.offsets[start : end + 1], table.hashes[first:stop]
        return own_codes, LazyRows(table.rows[start:end], table.labels, offsets, bounds, hashes)
