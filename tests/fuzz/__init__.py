"""Every reader of a file is given mutated files: it reads them or refuses them in words, in time and within bounds."""

from __future__ import annotations

import resource
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType

from tests.fuzz.mutations import mutated
from tests.fuzz.readers import READERS, Reader
from triage.errors import TriageError

# For one input, which takes milliseconds, on a machine that does other things too.
SECONDS = 20.0
# More memory than this is taken by no reader of such small files.
MEMORY = 2 * 2**30
# In memory, since the readers sync what they write to the disk.
SHARED = Path("/dev/shm")


class Hang(BaseException):
    """An input that took too long."""


@dataclass(frozen=True)
class Finding:
    """A defect; `python -m tests.fuzz --only READER --seed SEED --inputs 1` shows it again."""

    reader: str
    seed: int
    words: str


def fuzz(inputs: int, seed: int = 0, only: str = "") -> tuple[list[Finding], Counter[str]]:
    """(the defects, how many inputs were read and refused); input i is of seed + i, and of the readers by turns."""
    readers = [reader for reader in READERS if only in ("", reader.name)]
    samples = {reader.name: reader.samples() for reader in readers}
    findings, counts = list[Finding](), Counter[str]()
    with _bounded_memory():
        for number in range(seed, seed + inputs):
            reader = readers[number % len(readers)] if len(readers) > 1 else readers[0]
            random = Random(number)
            data = mutated(random.choice(samples[reader.name]), random)
            words = _defect(reader, data, random, counts)
            if words:
                findings.append(Finding(reader.name, number, words))
    return findings, counts


def _defect(reader: Reader, data: bytes, random: Random, counts: Counter[str]) -> str:
    """What is wrong with the way in which the input is read; empty where nothing is."""
    with tempfile.TemporaryDirectory(dir=SHARED if SHARED.is_dir() else None) as folder:
        path = Path(folder) / "input"
        path.write_bytes(data)
        try:
            with _deadline():
                reader.read(path, random)
            counts["read"] += 1
            counts[f"read: {reader.name}"] += 1
        except TriageError as error:
            counts["refused"] += 1
            counts[type(error).__name__] += 1
            if not (error.what.strip() and error.exit_code > 1):
                return f"a failure without words or exit code: {error!r}"
        except BaseException:
            return traceback.format_exc(limit=-8)
    return ""


@contextmanager
def _deadline() -> Iterator[None]:
    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _bounded_memory() -> Iterator[None]:
    """Allocations beyond MEMORY more than now fail."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
