"""Files and folders that appear whole or not at all, whenever a run is killed, and are used by one run at a time.

Arrays are `.npy` files without pickle.
"""

from __future__ import annotations

import errno
import fcntl
import io
import math
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from triage.errors import BundleError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from triage.arrays import AnyArray, Data

CHUNK = 1 << 20
# Bytes that are read for the header of a file; those of bundles are shorter.
HEAD = 1024
# What numpy writes in front of one or two dimensions of plain numbers; nothing else is read.
MAGIC = b"\x93NUMPY\x01\x00"
HEADER = re.compile(
    rb"\{'descr': '(<f[248]|<i[48]|\|u1)', 'fortran_order': False, "
    rb"'shape': \((\d{1,15}),(?: (\d{1,15}))?\), \} *\n"
)


def read(path: Path, most: int) -> bytes:
    """The content of a file, a pipe or a device. Raises OSError, also where it is longer than `most` bytes."""
    with path.open("rb") as file:
        seen = os.fstat(file.fileno())
        if stat.S_ISREG(seen.st_mode) and seen.st_size <= most:
            return file.read()
        data = bytearray()
        while seen.st_size <= most and len(data) <= most and (chunk := file.read(CHUNK)):
            data += chunk
    if max(seen.st_size, len(data)) > most:
        raise OSError(errno.EFBIG, f"longer than {most:,} bytes")
    return bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A draft to write, which takes the place of `path` at the end, also when the power fails.

    Whatever is raised meanwhile leaves `path` as it was. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with draft.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def write(path: Path, data: bytes) -> None:
    """Replace the file by these bytes; see `replacing`."""
    with replacing(path) as file:
        file.write(data)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `path` at the end, unless another process has made `path` by then.

    Whatever is raised meanwhile leaves nothing behind. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".partial-", dir=path.parent))
    try:
        yield draft
        for file in draft.iterdir():
            _sync(file)
        # Other users may read what one job of a workflow left.
        draft.chmod(0o755)
        _sync(draft)
        draft.rename(path)
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        if not (isinstance(error, OSError) and path.is_dir()):
            raise
    _sync(path.parent)


def append(file: IO[bytes], text: str) -> None:
    """Add to the end; it is on the disk when this returns."""
    file.write(text.encode())
    file.flush()
    os.fsync(file.fileno())


def lock(file: IO[bytes], taken: str = "") -> None:
    """Lock the file until it is closed. While another run has it, wait; with `taken`, raise UsageError saying that."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | (fcntl.LOCK_NB if taken else 0))
    except BlockingIOError:
        raise UsageError(taken, next_step="wait for it, or choose another file or folder") from None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclass(frozen=True)
class Shape:
    """The header of an `.npy` file: an array of `shape` and dtype `kind` begins at the byte `start`."""

    start: int
    shape: tuple[int, ...]
    kind: np.dtype[np.generic]

    @property
    def bytes(self) -> int:
        """The size of the array."""
        return math.prod(self.shape) * self.kind.itemsize


def shape_of(data: Data, where: str) -> Shape:
    """The header of a file that begins with `data`. Raises BundleError for anything but rows of plain numbers."""
    import numpy as np

    head = bytes(data[:HEAD])
    start = len(MAGIC) + 2 + int.from_bytes(head[len(MAGIC) : len(MAGIC) + 2], "little")
    match = HEADER.fullmatch(head, len(MAGIC) + 2, start) if start <= len(head) else None
    if not head.startswith(MAGIC) or match is None:
        raise BundleError(f"{where}: not an array (its header is not that of rows of plain numbers)")
    shape = tuple(int(size) for size in match.groups()[1:] if size is not None)
    if 0 in shape[1:]:
        raise BundleError(f"{where}: not an array (of {shape[0]} rows without numbers)")
    return Shape(start, shape, np.dtype(match[1].decode()))


def view(data: Data, where: str) -> AnyArray:
    """The array in a file, read-only and without a copy. Raises BundleError, also where its length is another."""
    import numpy as np

    head = shape_of(data, where)
    if head.start + head.bytes != len(data):
        found = len(data) - head.start
        raise BundleError(
            f"{where}: not an array (its shape {head.shape} needs {head.bytes} bytes, it has {found})"
        )
    array: AnyArray = np.frombuffer(data, dtype=head.kind, offset=head.start)
    return array.reshape(head.shape)


def views(files: Mapping[str, Data], names: Iterable[str], where: str) -> dict[str, AnyArray]:
    """The arrays among these files, by name; see `view`."""
    return {name: view(files[name], f"{where}: {name}") for name in names if name.endswith(".npy")}


def npy(array: AnyArray) -> bytes:
    """The array as a file."""
    import numpy as np

    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()
