"""The files of a compressed index: vectors as codes, and keys and labels that are read block by block.

Labelling one issue reads the lists near it and the blocks of its neighbours, each checked against its own hash before
anything in it is used. Where no label is shared between repositories, an issue is searched in the slice of its own
repository alone, and an empty machine fetches no more than that slice.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, overload

import numpy as np

from triage.arrays import AnyArray, Bytes, Data, Ints, Ints32, npy, view
from triage.engine.index import IvfCodes
from triage.engine.ivf_build import refuse_below_floor
from triage.errors import BundleError
from triage.issue import Key

# Not read when a bundle is loaded: each list and block is checked against its own hash when it is read.
MAPPED = ("index-codes.npy", "index-rows.npy", "index-labels.npy", "index-offsets.npy")
CODES, ROWS, LABELS, OFFSETS = MAPPED
CENTROIDS = "index-centroids.npy"
OWNERS, BOUNDS = "index-owners.npy", "index-bounds.npy"


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


def files_of(codes: IvfCodes, known: LazyRows) -> dict[str, bytes]:
    """The index as files."""
    arrays: dict[str, AnyArray] = {
        "codes": codes.codes,
        "rows": known.rows,
        "labels": known.labels,
        "offsets": known.offsets,
        "centroids": codes.centroids,
        "ranges": codes.ranges,
        "bounds": codes.bounds,
        "hashes": codes.hashes,
        "owners": codes.owners,
        "blocks": known.hashes,
    }
    return {f"index-{name}.npy": npy(array) for name, array in arrays.items()}


def codes_of(probes: int, recall: float, arrays: Mapping[str, AnyArray]) -> IvfCodes:
    """The index in these arrays. Raises BundleError where it finds too little or its parts do not fit."""
    refuse_below_floor(recall)
    return IvfCodes(
        centroids=_given(arrays, "centroids", np.float32),
        ranges=_given(arrays, "ranges", np.float32),
        codes=_given(arrays, "codes", np.uint8),
        bounds=_given(arrays, "bounds", np.int64),
        hashes=_given(arrays, "hashes", np.uint8),
        owners=_given(arrays, "owners", np.int64),
        probes=probes,
    )


def rows_of(
    repos: Sequence[str], names: Sequence[str], codes: IvfCodes, arrays: Mapping[str, AnyArray]
) -> tuple[LazyKeys, LazyLabels]:
    """The keys and labels in these arrays. Raises BundleError where they do not fit the index."""
    known = LazyRows(
        rows=_given(arrays, "rows", np.int64),
        labels=_given(arrays, "labels", np.int32),
        offsets=_given(arrays, "offsets", np.int64),
        bounds=codes.bounds,
        hashes=_given(arrays, "blocks", np.uint8),
    )
    return LazyKeys(repos, known), LazyLabels(names, known)


def _given(arrays: Mapping[str, AnyArray], name: str, kind: type[np.generic]) -> Any:
    """The array, which must be of that kind: another would have to be read whole to be made so."""
    array = arrays[f"index-{name}.npy"]
    if array.dtype != kind:
        raise BundleError(f"index-{name}.npy holds {array.dtype} where {np.dtype(kind)} is needed")
    return array


@dataclass(frozen=True)
class RepositorySlice:
    """The lists, and the rows, of one repository: from the first up to, and excluding, the second."""

    lists: tuple[int, int]
    rows: tuple[int, int]


def span_of(repo: str, files: Mapping[str, Data], where: str) -> RepositorySlice | None:
    """Which part of an index is searched for issues of `repo`; None where it is the whole.

    `files` are those that are read whole, not checked yet. The first list stands for a repository that has none.
    Raises BundleError where they do not fit together.
    """
    if OWNERS not in files:
        return None
    try:
        said = json.loads(bytes(files["rules.json"]))
        if said["rules"].get("shared") != []:
            return None
        repos = said["repositories"]
        owners, bounds = (view(files[name], f"{where}: {name}").astype(np.int64) for name in (OWNERS, BOUNDS))
        own = np.flatnonzero(owners == repos.index(repo)) if repo in repos else np.array([0])
        first, stop = int(own[0]), int(own[-1]) + 1
        return RepositorySlice((first, stop), (int(bounds[first]), int(bounds[stop])))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise BundleError(f"{where}: its files do not fit together ({error})") from None


def sliced(
    codes: IvfCodes, keys: LazyKeys, labels: LazyLabels, own: RepositorySlice
) -> tuple[IvfCodes, LazyKeys, LazyLabels]:
    """The slice of the index, its keys and its labels: to be searched, not to be saved."""
    (first, stop), (start, end), rows = own.lists, own.rows, keys.table
    bounds = codes.bounds[first : stop + 1] - start
    own_codes = IvfCodes(
        centroids=codes.centroids[first:stop],
        ranges=codes.ranges,
        codes=codes.codes[start:end],
        bounds=bounds,
        hashes=codes.hashes[first:stop],
        owners=codes.owners[first:stop],
        probes=min(codes.probes, stop - first),
    )
    # Offsets still point into the labels of all rows, so that hashes of blocks stay what they were.
    own_rows = LazyRows(
        rows.rows[start:end], rows.labels, rows.offsets[start : end + 1], bounds, rows.hashes[first:stop]
    )
    return own_codes, LazyKeys(keys.repos, own_rows), LazyLabels(labels.names, own_rows)
