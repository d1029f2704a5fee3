"""What encoding many issues costs beside the bare inference loop, and how much memory it takes.

    python benchmarks/encoding.py FILE [--issues 400] [--rounds 3] [--threads 1] [--budget 256]

FILE holds issues, of which the first distinct ones are taken. Three ways, in turn, medians over the rounds: the model
run on inputs that were tokenised before, and nothing else; `Encoder.encode`, which tokenises, pools and normalises;
and the whole way from the compressed file, read and cleaned, to vectors with `embed`, as `triage retrain` goes it. Each
is given as a share of what the bare loop does in a second. Peak memory is of processes of their own, with a quarter of
the issues and with all.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from triage.engine.encoder import CHUNK, Encoder, OnnxModel
from triage.engine.model_folder import BUILTIN_ENCODER, shipped
from triage.issue import Issue
from triage.learn.vectors import embed
from triage.sources.issue_file import iter_issues


def read(path: Path, most: int) -> list[Issue]:
    """The first distinct issues of a file."""
    found: dict[str, Issue] = {}
    for issue in iter_issues(path):
        found.setdefault(issue.digest, issue)
        if len(found) == most:
            break
    return list(found.values())


def bare(texts: Sequence[str], threads: int, budget: int) -> Callable[[], None]:
    """The inference loop over inputs that are there, in as many threads and chunks as the encoder works in."""
    model = OnnxModel(shipped(BUILTIN_ENCODER))
    inputs = [model.tokens(text, max_tokens=budget) for text in texts]

    def some(start: int) -> None:
        for each in inputs[start : start + CHUNK]:
            model.run(each)

    def loop() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(some, range(0, len(inputs), CHUNK)))

    return loop


def whole(path: Path, most: int, encoder: Encoder, threads: int) -> int:
    """From the file to vectors; how many."""
    found = embed(
        read(path, most),
        encoder,
        None,
        lambda _: None,
        encode=lambda texts, progress=None: encoder.encode(texts, threads=threads, progress=progress),
    )
    return len(found.vectors)


def timed(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, tuple[float, float]]:
    """(seconds, processor seconds) of each way, medians."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            clock, processor = time.perf_counter(), time.process_time()
            way()
            spent[name].append((time.perf_counter() - clock, time.process_time() - processor))
    return {name: tuple(map(statistics.median, zip(*each, strict=True))) for name, each in spent.items()}  # type: ignore[misc]


def peak(path: Path, most: int, threads: int, budget: int) -> float:
    """MiB of a process that goes the whole way."""
    command = [
        sys.executable,
        __file__,
        str(path),
        "--issues",
        str(most),
        "--threads",
        str(threads),
        "--budget",
        str(budget),
        "--alone",
    ]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Encoding beside the bare inference loop.")
    parser.add_argument("file", type=Path, help="issues, JSON Lines, plain or gzip")
    parser.add_argument("--issues", type=int, default=400, help="(default: 400)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--threads", type=int, default=1, help="(default: 1)")
    parser.add_argument("--budget", type=int, default=256, help="tokens read of an issue (default: 256)")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    encoder = Encoder.load(budget=given.budget)
    if given.alone:
        whole(given.file, given.issues, encoder, given.threads)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    texts = [issue.text for issue in islice(read(given.file, given.issues), given.issues)]
    found = timed(
        {
            "inference alone, tokenised before": bare(texts, given.threads, encoder.max_tokens),
            "`Encoder.encode`": lambda: encoder.encode(texts, threads=given.threads),
            "from the file to vectors": lambda: whole(given.file, given.issues, encoder, given.threads),
        },
        given.rounds,
    )
    seconds, processor = next(iter(found.values()))
    print("| way | issues/s | of the bare loop | ms of processor | of the bare loop |\n|---|---|---|---|---|")
    for name, (clock, cpu) in found.items():
        rate, cost = len(texts) / clock, 1000 * cpu / len(texts)
        print(f"| {name} | {rate:.1f} | {seconds / clock:.3f} | {cost:.2f} | {cpu / processor:.3f} |")
    sizes = [max(1, len(texts) // 4), len(texts)]
    small, large = (peak(given.file, size, given.threads, given.budget) for size in sizes)
    print(
        f"\n{len(texts)} issues, medians of {given.rounds}, {given.threads} thread(s), {given.budget} tokens."
    )
    print(f"Peak memory: {small:.0f} MiB for {sizes[0]} issues, {large:.0f} MiB for {sizes[1]}.")


if __name__ == "__main__":
    main()
