"""What a weekly retraining saves on encoding: 1 % new issues with the embedding cache, beside a full run without.

    python benchmarks/retrain.py FILE [--issues 1000] [--new 0.01]

Both go through the code of `triage retrain`, the cache written to a folder and read back included. Seconds are
those of the clock and those of the processor; on a machine that does other things too, believe the latter.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from triage.bundle.open import open_engines
from triage.config import Config
from triage.engine.encoder import Encoder
from triage.issue import Issue
from triage.learn.vectors import NAME, embed
from triage.sources.issue_file import read_issues

TARGET = 0.05


@dataclass(frozen=True)
class Run:
    """One run: texts in all, those that were encoded, seconds by the clock and of the processor."""

    issues: int
    encoded: int
    clock: float
    processor: float


def timed(issues: Sequence[Issue], encoder: Encoder, cache: Path) -> Run:
    """Embed the issues with what the file `cache` holds, and leave the new cache there."""
    clock, processor = time.perf_counter(), time.process_time()
    kept = cache.read_bytes() if cache.is_file() else None
    found = embed(issues, encoder, kept, lambda data: _write(cache, data))
    return Run(len(issues), found.computed, time.perf_counter() - clock, time.process_time() - processor)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def texts_of(path: Path, number: int) -> list[Issue]:
    """The file's first issues with different texts."""
    return list({issue.digest: issue for issue in read_issues(path)}.values())[:number]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Encoding time of a weekly retraining beside a full one.")
    parser.add_argument("file", type=Path, metavar="FILE", help="issues")
    parser.add_argument("--issues", type=int, default=1000, metavar="N", help="that many (default: 1000)")
    parser.add_argument("--new", type=float, default=0.01, metavar="SHARE", help="new ones (default: 0.01)")
    given = parser.parse_args()
    encoder, _ = open_engines(Config())
    issues = texts_of(given.file, given.issues)
    new = round(given.new * len(issues))
    if not 0 < new < len(issues):
        sys.exit(f"{given.new:g} of {len(issues)} issues are {new}: there must be both old and new ones")
    encoder.encode([issues[0].text])
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / NAME
        full = timed(issues[: len(issues) - new], encoder, cache)
        weekly = timed(issues, encoder, cache)
        size = cache.stat().st_size
    print("| run | issues | encoded | seconds | processor seconds |\n|---|---|---|---|---|")
    for name, run in (("full", full), (f"a week later, {given.new:.0%} new", weekly)):
        print(f"| {name} | {run.issues} | {run.encoded} | {run.clock:.2f} | {run.processor:.2f} |")
    print(f"\nThe weekly run took {weekly.clock / full.clock:.1%} of the full run's seconds and ", end="")
    print(f"{weekly.processor / full.processor:.1%} of its processor seconds (aim: {TARGET:.0%} at most).")
    print(f"The cache takes {size / 1e6:.1f} MB.")


if __name__ == "__main__":
    main()
