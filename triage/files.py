"""Files that survive being killed at any moment, and are used by one run at a time."""

from __future__ import annotations

import fcntl
import os
from typing import IO

from triage.errors import UsageError


def append(file: IO[bytes], text: str) -> None:
    """Add to the end; it is on the disk when this returns."""
    file.write(text.encode())
    file.flush()
    os.fsync(file.fileno())


def hold(file: IO[bytes], what: str) -> None:
    """Keep other runs off the file until it is closed. Raises UsageError, `what`, where one has it already."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(what, next_step="wait for it, or give another file") from None
