"""How much time a weekly retraining saves: with new issues and the embedding cache, compared with a full run.

    python benchmarks/retrain.py FILE [--issues 1000] [--new 0.01]
    python benchmarks/retrain.py FILE --whole [--parts] [--issues 10000] [--new 0.1]

Encoding alone, by the code of `triage retrain`, the cache written to a folder and read back included. Or the whole
retraining, as the command in a process of its own: from reading the file to the active bundle, which the second run
compares with; and how long nothing was printed at most. With `--parts` an issue also gets a label for the part of the
project that its title names first, as in "net/http: ..."; few public files have as many labelled issues of one
repository. Seconds are those of the clock and those of the processor; on a machine that does other things too, believe
the latter.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from triage.bundle.open import open_engines
from triage.config import Config
from triage.engine.encoder import Encoder
from triage.errors import GateError
from triage.issue import Issue, format_time
from triage.learn.vectors import NAME, embed
from triage.sources.issue_file import read_issues

TARGET = 0.05
PART = re.compile(r"([a-z0-9]+(?:/[a-z0-9]+)?): ")


@dataclass(frozen=True)
class Run:
    """One run: texts in all, those that were encoded, seconds by the clock and of the processor.

    `silence` is how many seconds nothing was printed at most.
    """

    issues: int
    encoded: int
    clock: float
    processor: float
    silence: float = 0.0


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


def with_part(issue: Issue) -> Issue:
    """The issue with a label for the part that its title names."""
    part = PART.match(issue.title)
    return replace(issue, labels=(*issue.labels, f"part: {part[1]}")) if part else issue


def retrained(issues: Sequence[Issue], folder: Path) -> Run:
    """Learn from the issues into the store in the folder, by the command. Raises RuntimeError where it fails."""
    rows, said = folder / "issues.jsonl", folder / "report.json"
    with rows.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(_row(issue)) + "\n" for issue in issues)
    command = [sys.executable, "-m", "triage", "retrain", f"--from={rows}", f"--store={folder}"]
    started = last = time.perf_counter()
    silence, lines = 0.0, []
    with (
        said.open("w", encoding="utf-8") as report,
        subprocess.Popen(
            [*command, "--always", "--json"], stdout=report, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        for line in process.stderr or ():
            now = time.perf_counter()
            silence, last = max(silence, now - last), now
            lines.append(line)
        _, status, used = os.wait4(process.pid, 0)
        ended, process.returncode = time.perf_counter(), os.waitstatus_to_exitcode(status)
    if process.returncode not in {0, GateError.exit_code}:
        raise RuntimeError("".join(lines))
    encoded = json.loads(said.read_text("utf-8"))["encoded"]
    return Run(
        len(issues), encoded, ended - started, used.ru_utime + used.ru_stime, max(silence, ended - last)
    )


def _row(issue: Issue) -> dict[str, object]:
    return {
        "repo": issue.repo,
        "number": issue.number,
        "title": issue.title,
        "body": issue.body,
        "labels": issue.labels,
        "created_at": format_time(issue.created_at),
    }


def whole(issues: Sequence[Issue], new: int) -> tuple[Run, Run]:
    """A retraining on all but the newest issues, from nothing, and one on all of them after it."""
    with tempfile.TemporaryDirectory() as folder:
        return retrained(issues[: len(issues) - new], Path(folder)), retrained(issues, Path(folder))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="The time of a weekly retraining, compared with a full one.")
    parser.add_argument("file", type=Path, metavar="FILE", help="issues")
    parser.add_argument("--issues", type=int, default=1000, metavar="N", help="that many (default: 1000)")
    parser.add_argument("--new", type=float, default=0.01, metavar="SHARE", help="new ones (default: 0.01)")
    parser.add_argument("--whole", action="store_true", help="the whole retraining, not encoding alone")
    parser.add_argument("--parts", action="store_true", help="label the part that a title names first")
    given = parser.parse_args()
    issues = texts_of(given.file, given.issues)
    new = round(given.new * len(issues))
    if not 0 < new < len(issues):
        sys.exit(f"{given.new:g} of {len(issues)} issues are {new}: there must be both old and new ones")
    if given.whole:
        full, weekly = whole([with_part(issue) for issue in issues] if given.parts else issues, new)
        end = f"No more than {max(full.silence, weekly.silence):.1f} seconds passed without a line."
    else:
        full, weekly, end = encoding_alone(issues, new)
    print("| run | issues | encoded | seconds | processor seconds |\n|---|---|---|---|---|")
    for name, run in (("full", full), (f"a week later, {given.new:.0%} new", weekly)):
        print(f"| {name} | {run.issues} | {run.encoded} | {run.clock:.2f} | {run.processor:.2f} |")
    aim = "" if given.whole else f" (aim: {TARGET:.0%} at most)"
    print(f"\nThe weekly run took {weekly.clock / full.clock:.1%} of the full run's seconds and ", end="")
    print(f"{weekly.processor / full.processor:.1%} of its processor seconds{aim}.\n{end}")


def encoding_alone(issues: Sequence[Issue], new: int) -> tuple[Run, Run, str]:
    """A full run on all but the new issues and one on all of them, and the size of the cache."""
    encoder, _ = open_engines(Config())
    encoder.encode([issues[0].text])
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / NAME
        full = timed(issues[: len(issues) - new], encoder, cache)
        weekly = timed(issues, encoder, cache)
        return full, weekly, f"The cache takes {cache.stat().st_size / 1e6:.1f} MB."


if __name__ == "__main__":
    main()
