"""The files of a bundle as few git blobs, since each blob is a request.

    pack          a line of JSON that names the files; the small ones, one after the other; the start of each large one
    NAME.0000 …   a large file, in parts of at most PART bytes

A large file that stays the same from one bundle to the next keeps its blobs. The layout before (its number would be 1)
had a blob for each file, or a folder of blobs; it is still read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import asdict, dataclass, field
from mmap import mmap

from triage.arrays import HEAD, Data, shape_of, view
from triage.bundle.bundle import MAX_BYTES
from triage.bundle.ivf_files import CENTROIDS, CODES, LABELS, OFFSETS, ROWS, RepositorySlice
from triage.errors import BundleError, DataError
from triage.github.git_objects import GitObjects
from triage.schema import SchemaError, build, decoded, option

PACK = "pack"
KIND, FORMAT = "triage-pack", 2
# Requests are waited for, so parts are large; GitHub refuses requests of some tens of megabytes.
PART = 16 * 2**20
# Files of at most so many bytes share the pack, as long as it is no larger than a part.
SMALL = 4 * 2**20
PART_NAME = re.compile(r"(.+)\.(\d{4})")


@dataclass(frozen=True)
class PackHeader:
    """The first line of a pack: the size in bytes of each small and of each large file, in the order of the pack.

    `part` is the size of all parts of a large file but the last.
    """

    small: dict[str, int]
    large: dict[str, int]
    part: int = field(metadata={"low": 1})
    kind: str = option(KIND, "", choices=(KIND,))
    format: int = FORMAT


def packed(files: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    """(path, content) of the blobs that the files are stored in."""
    small, room = set[str](), PART
    for name in sorted(files, key=lambda name: (len(files[name]), name)):
        if len(files[name]) <= min(SMALL, room):
            small.add(name)
            room -= len(files[name])
    large = sorted(files.keys() - small)
    sizes = {name: len(files[name]) for name in sorted(files)}
    header = PackHeader({n: sizes[n] for n in sizes if n in small}, {n: sizes[n] for n in large}, PART)
    pieces = [*(files[name] for name in header.small), *(files[name][:HEAD] for name in large)]
    blobs = [(PACK, b"".join([json.dumps(asdict(header)).encode(), b"\n", *pieces]))]
    for name in large:
        starts = range(0, sizes[name], PART)
        blobs += [(f"{name}.{i:04d}", files[name][at : at + PART]) for i, at in enumerate(starts)]
    return blobs


class StoredFiles:
    """The files in a tree, of whose blobs `listed` gives (path, hash).

    The pack is fetched, and with it the large files among those `at_once`. Raises DataError for another layout.
    """

    def __init__(
        self, git: GitObjects, listed: Iterable[tuple[str, str]], at_once: Collection[str] = ()
    ) -> None:
        self._git, self._fetched = git, dict[str, bytes]()
        self._parts, loose = dict[str, list[str]](), dict[str, list[str]]()
        self._small, self._heads, self._sizes = dict[str, bytes](), dict[str, bytes](), dict[str, int]()
        self._part = PART
        pack = ""
        for path, sha in sorted(listed):
            match = PART_NAME.fullmatch(path)
            pack = sha if path == PACK else pack
            self._parts.setdefault(match[1] if match else path, []).append(sha)
            loose.setdefault(path.partition("/")[0], []).append(sha)
        if not pack:
            self._parts = loose
            return
        self._fetch([pack, *(sha for name in at_once for sha in self._parts.get(name, ()))])
        self._unpack(self._fetched.pop(pack))

    @property
    def names(self) -> Set[str]:
        """The names of the files."""
        return self._small.keys() | self._parts.keys()

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """The contents of these files, all in `names`. Raises DataError."""
        self._fetch([sha for name in names for sha in self._parts.get(name, ())])
        return {name: self._small[name] if name in self._small else self._joined(name) for name in names}

    def is_in_parts(self, name: str) -> bool:
        """Whether it can be fetched in part."""
        return name in self._heads

    def _joined(self, name: str) -> bytes:
        data = b"".join(self._fetched[sha] for sha in self._parts[name])
        if len(data) != self._sizes.get(name, len(data)):
            raise DataError(f"the parts of {name} are not as long as it is")
        return data

    def _unpack(self, pack: bytes) -> None:
        line, _, content = pack.partition(b"\n")
        header = _header(line)
        starts = {name: min(HEAD, size) for name, size in header.large.items()}
        sizes = [*header.small.values(), *starts.values()]
        missing = header.large.keys() - self._parts.keys()
        if missing or min(sizes, default=0) < 0 or sum(sizes) != len(content):
            raise DataError("its pack does not fit the files that it names")
        place = 0
        for name, size in [*header.small.items(), *starts.items()]:
            (self._small if name in header.small else self._heads)[name] = content[place : place + size]
            place += size
        self._sizes, self._part = header.large, header.part
        self._parts = {name: self._parts[name] for name in header.large}

    def _fetch(self, shas: Iterable[str]) -> None:
        """Raises DataError where all blobs together are larger than a bundle, whatever the tree says."""
        missing = [sha for sha in dict.fromkeys(shas) if sha not in self._fetched]
        if not missing:
            return
        self._fetched |= zip(missing, self._git.get_blobs(missing), strict=True)
        if sum(map(len, self._fetched.values())) > MAX_BYTES:
            raise DataError(f"more than {MAX_BYTES:,} bytes")

    def within(self, span: RepositorySlice, files: Mapping[str, Data], where: str) -> dict[str, Data]:
        """The files of a large index, filled within `span` and zero elsewhere, so that their hashes do not match.

        `files` are the bundle's other files. Raises BundleError if the files do not fit together.
        """
        if missing := {CODES, ROWS, OFFSETS, LABELS, CENTROIDS} - self.names:
            raise BundleError(f"{where}: {min(missing)} is missing")
        width = (0, *shape_of(files[CENTROIDS], where).shape)[-1]
        row_bytes = {CODES: width, ROWS: 16, OFFSETS: 8}
        partial = self._between(
            {n: (b * span.rows[0], b * span.rows[1]) for n, b in row_bytes.items()}, where
        )
        offsets = view(partial[OFFSETS], where)
        if not 0 <= min(span.rows) <= max(span.rows) < len(offsets):
            raise BundleError(f"{where}: its files do not fit together")
        first, stop = (4 * int(offsets[row]) for row in span.rows)
        return partial | self._between({LABELS: (first, stop)}, where)

    def _between(self, bounds: Mapping[str, tuple[int, int]], where: str) -> dict[str, Data]:
        """Files of full length in which only the parts with the array's bytes within `bounds` are filled."""
        wanted, part = dict[str, dict[int, str]](), self._part
        for name in (name for name in bounds if self.is_in_parts(name)):
            shape, parts = shape_of(self._heads[name], f"{where}: {name}"), enumerate(self._parts[name])
            first, stop = (shape.start + bound for bound in bounds[name])
            wanted[name] = {i * part: sha for i, sha in parts if i * part < stop and first < (i + 1) * part}
            if shape.start + shape.bytes != self._sizes[name]:
                raise BundleError(f"{where}: {name} is not as long as it says")
        self._fetch(sha for parts in wanted.values() for sha in parts.values())
        rest = self.read([name for name in bounds if name not in wanted])
        return {**rest, **{name: self._filled(name, wanted[name], where) for name in wanted}}

    def _filled(self, name: str, parts: Mapping[int, str], where: str) -> mmap:
        filled = mmap(-1, self._sizes[name])
        for start, data in [(0, self._heads[name]), *((at, self._fetched[sha]) for at, sha in parts.items())]:
            if start + len(data) > len(filled):
                raise BundleError(f"{where}: the parts of {name} are not as long as it is")
            filled[start : start + len(data)] = data
        return filled


def _header(line: bytes) -> PackHeader:
    """Raises DataError for anything but the header of this format."""
    try:
        stated = decoded(line)
        number = stated.get("format") if isinstance(stated, dict) else None
        if isinstance(number, int) and number != FORMAT:
            raise DataError(
                f"its files are packed in format {number}, and this version of triage reads {FORMAT}"
            )
        return build(PackHeader, stated)
    except SchemaError as error:
        raise DataError(f"its files cannot be unpacked ({error})") from None
