"""The files of a bundle as blobs of git: large ones in parts, of which some can be fetched without the others."""

from __future__ import annotations

from collections.abc import Mapping, Set
from itertools import pairwise
from mmap import mmap

from triage.bundle.arrays import HEAD, Data, shape_of, view
from triage.bundle.large import CENTROIDS, CODES, LABELS, OFFSETS, ROWS
from triage.bundle.part import Span
from triage.errors import BundleError
from triage.world.git_data import GitData

# GitHub refuses requests of some tens of megabytes and many new blobs an hour; what was dropped on the way is sent
# again. A large file is its first HEAD bytes, which tell how long it is, and parts of at most so many.
PART = 4 * 2**20


def parts(path: str, data: bytes) -> list[tuple[str, bytes]]:
    """The file as blobs, each with its path: itself, or in a folder of its name the parts in their order."""
    if len(data) <= PART:
        return [(path, data)]
    starts = [0, *range(HEAD, len(data), PART), len(data)]
    return [(f"{path}/{i:04d}", data[a:b]) for i, (a, b) in enumerate(pairwise(starts))]


class Pieces:
    """The files of a tree, each one blob or some."""

    def __init__(self, git: GitData, tree: str) -> None:
        self._git = git
        self._blobs: dict[str, list[str]] = {}
        for place, sha in sorted(git.get_tree(tree)):
            self._blobs.setdefault(place.partition("/")[0], []).append(sha)

    @property
    def names(self) -> Set[str]:
        """The names of the files."""
        return self._blobs.keys()

    def whole(self, name: str) -> bytes:
        """A file that is there."""
        return b"".join(map(self._git.get_blob, self._blobs[name]))

    def within(self, span: Span, files: Mapping[str, Data], where: str) -> dict[str, Data]:
        """The files of an index that are read list by list, with what lies within the span; `files` are the others.

        The rest of each is zeros, which no hash goes with. Raises BundleError where they do not fit together.
        """
        found: dict[str, Data] = {}
        missing = {CODES, ROWS, OFFSETS, LABELS, CENTROIDS} - {*self.names}
        if missing:
            raise BundleError(f"{where}: {min(missing)} is missing")
        width = (0, *shape_of(files[CENTROIDS], where).shape)[-1]
        for name, each in ((CODES, width), (ROWS, 16), (OFFSETS, 8)):
            found[name] = self._between(name, each * span.rows[0], each * span.rows[1], where)
        offsets = view(found[OFFSETS], where)
        if not 0 <= min(span.rows) <= max(span.rows) < len(offsets):
            raise BundleError(f"{where}: its files do not fit together")
        first, stop = (4 * int(offsets[row]) for row in span.rows)
        found[LABELS] = self._between(LABELS, first, stop, where)
        return found

    def _between(self, name: str, first: int, stop: int, where: str) -> mmap:
        """An array's file, as long as it is, with the parts that hold its bytes from `first` up to `stop`."""
        blobs = self._blobs[name]
        head = self._git.get_blob(blobs[0])
        told = shape_of(head, f"{where}: {name}")
        held = [(0, head)]
        for start, sha in zip(range(HEAD, HEAD + PART * len(blobs), PART), blobs[1:], strict=False):
            if start < told.start + stop and told.start + first < start + PART:
                held.append((start, self._git.get_blob(sha)))
        whole = told.start + told.bytes
        if not max(start + len(part) for start, part in held) <= whole <= HEAD + PART * len(blobs):
            raise BundleError(f"{where}: the parts of {name} are not as long as it is")
        found = mmap(-1, whole)
        for start, part in held:
            found[start : start + len(part)] = part
        return found
