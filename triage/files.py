"""Files and folders that appear whole or not at all, whenever a run is killed, and are used by one run at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from triage.errors import UsageError

CHUNK = 1 << 20


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
