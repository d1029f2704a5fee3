"""What Ray costs beside the local engine, and what stays with one process: reading and cleaning.

    python benchmarks/cluster.py FILE [--issues 500] [--engine ray://auto] [--repeat 3]

The same issues of FILE are read, cleaned (rendered to text and hashed) and encoded by the threads of this process, one
for each core it may use, and by the workers of a Ray, which is started for it unless --engine names another. Vectors
must be the same bits. Repeated runs take turns; medians are told, and ratios, since seconds are those of one machine
and of what else it does.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from triage.arrays import Floats
from triage.bundle.open import check_engine, encoding
from triage.cli import arguments
from triage.engine.encoder import Encoder, usable_cores
from triage.engine.ray_backend import Cluster, RemoteJob, connected
from triage.issue import Issue
from triage.sources.issue_file import iter_issues

T = TypeVar("T")


@dataclass
class Clock:
    """Seconds by what they went into; the list holds one for each repetition."""

    seconds: dict[str, list[float]]

    def of(self, what: str, work: Callable[[], T]) -> T:
        """Do the work and keep its time."""
        began = time.perf_counter()
        result = work()
        self.seconds.setdefault(what, []).append(time.perf_counter() - began)
        return result

    def median(self, what: str) -> float:
        return statistics.median(self.seconds[what])


def measure(path: Path, count: int, repeat: int, cluster: Cluster, clock: Clock) -> int:
    """Fill the clock; returns how many issues there were. Ends the program where a bit differs."""
    encoder = Encoder.load()
    issues = clock.of("reading", lambda: list(distinct(path, count)))
    texts = clock.of("cleaning", lambda: [issue.text for issue in issues if issue.digest])
    encoder.encode(texts[:1])
    work: RemoteJob[str, Floats] | None = clock.of("sending the encoder", lambda: encoding(cluster, encoder))
    assert work is not None
    clock.of("first texts", lambda: work(texts[: cluster.workers]))
    for _ in range(repeat):
        here = clock.of("this process", lambda: encoder.encode(texts))
        there = clock.of("Ray", lambda: work(texts))
        if np.array(there).tobytes() != here.tobytes():
            sys.exit("the vectors of the workers differ from those of this process")
    return len(texts)


def distinct(path: Path, count: int) -> Sequence[Issue]:
    """The first issues of the file, as they are read."""
    found: list[Issue] = []
    for issue in iter_issues(path):
        if len(found) == count:
            break
        found.append(Issue(issue.repo, issue.number, issue.title, issue.body))
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="What Ray costs beside the local engine.")
    parser.add_argument("file", type=Path, metavar="FILE", help="issues")
    parser.add_argument("--issues", type=int, default=500, metavar="N", help="so many (default: 500)")
    parser.add_argument(
        "--engine", type=arguments.engine, default="ray", help="as of `triage retrain` (default: ray)"
    )
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="so often (default: 3)")
    given = parser.parse_args()
    check_engine(given.engine)
    clock, began = Clock({}), time.perf_counter()
    with connected(given.engine.removeprefix("ray").removeprefix("://")) as cluster:
        clock.seconds["starting Ray"] = [time.perf_counter() - began]
        workers = cluster.workers
        count = measure(given.file, given.issues, given.repeat, cluster, clock)
    local = clock.median("this process")
    print(f"{count} issues, {workers} workers, {usable_cores()} cores here; the vectors are the same bits\n")
    print("| | seconds | beside encoding here |\n|---|--:|--:|")
    for what in clock.seconds:
        print(f"| {what} | {clock.median(what):.2f} | {clock.median(what) / local:.1%} |")


if __name__ == "__main__":
    main()
