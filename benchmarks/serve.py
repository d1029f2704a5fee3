"""What labelling costs, beside what a user would write first: `serve_peer.py`.

    python benchmarks/serve.py --weights FOLDER --peer-python PATH --texts FILE [--issues 10000] [--runs 5]

Both label one issue against the same number of known ones, each time as a process from start to end, and embed
the same texts, at most 256 tokens of each, with all cores; in turn, A B A B. FOLDER holds the PyTorch weights
of all-MiniLM-L6-v2 as sentence-transformers saves them; PATH is a Python with sentence-transformers, faiss-cpu
and PyGithub. The known issues are those of the sample, many times over, moved by noise; ours lie in a bundle
with a head of the largest size. On a machine that does other work, trust processor seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from compileall import compile_dir
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
Command = Sequence[str]


@dataclass(frozen=True)
class Run:
    """One process: seconds from start to end, peak resident memory in MiB, processor seconds, what it printed."""

    wall: float
    memory: float
    processor: float
    out: str


def run(command: Command) -> Run:
    """Run it to its end; this process stays small, since a child's peak counts from its parent's size."""
    # The first round, which is not counted, compiles every library to bytecode, as an installation does.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, env=environment)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"exit code {child.returncode}: {' '.join(command)}")
        out.seek(0)
        return Run(wall, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime, out.read().decode())


def in_turn(commands: Sequence[Command], times: int) -> list[list[Run]]:
    """Each command so many times, A B A B; the runs of each. A first round warms the disk and is dropped."""
    rounds = [[run(command) for command in commands] for _ in range(times + 1)]
    return [list(column) for column in zip(*rounds[1:], strict=True)]


def row(name: str, peer: Sequence[float], ours: Sequence[float], digits: int) -> str:
    """Medians, and ours as a multiple of the peer's with its range over the pairs of runs."""
    a, b = statistics.median(peer), statistics.median(ours)
    ratios = sorted(y / x for x, y in zip(peer, ours, strict=True))
    return f"| {name} | {a:.{digits}f} | {b:.{digits}f} | {b / a:.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}) |"


def measure(given: argparse.Namespace, folder: Path) -> None:
    """Print the table."""
    ours, peer = str(HERE / "serve_ours.py"), str(HERE / "serve_peer.py")
    ready = ["prepare", str(folder), str(given.texts), str(given.number), str(given.issues)]
    # What the peer lacks is said before anything is made.
    run([given.peer_python, "-c", "import faiss, github, sentence_transformers"])
    # As pip does when it installs; the peer's libraries have their bytecode too.
    compile_dir(HERE.parent / "triage", quiet=1)
    run([sys.executable, ours, *ready])
    weights, issue, texts = str(given.weights), str(folder / "issue.jsonl"), str(folder / "texts.json")
    rows = [str(folder / "vectors.npy"), str(folder / "labels.json")]
    asked = ["label", "--from", issue, "--store", str(folder / "store"), "--json"]
    a, b, c = in_turn(
        [
            [given.peer_python, peer, "label", weights, *rows, issue],
            [sys.executable, ours, *asked],
            [sys.executable, "-m", "triage", *asked],
        ],
        given.runs,
    )
    embedding = in_turn(
        [
            [given.peer_python, peer, "embed", weights, texts],
            [sys.executable, ours, "embed", "builtin", texts],
        ],
        given.embedding_runs,
    )
    x, y = ([json.loads(each.out) for each in runs] for runs in embedding)
    count = len(json.loads((folder / "texts.json").read_text()))
    print(f"{given.runs} runs of one issue among {given.issues}, {given.embedding_runs} of {count} texts;")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; medians\n")
    print("| what | the peer | triage | triage / the peer |\n|---|---|---|---|")
    print(row("one issue, processor seconds", [r.processor for r in a], [r.processor for r in b], 2))
    print(row("one issue, seconds", [r.wall for r in a], [r.wall for r in b], 2))
    print(row("one issue, peak MiB", [r.memory for r in a], [r.memory for r in b], 0))
    name = "one issue of a file, as `triage label` is"
    print(row(f"{name}: processor seconds", [r.processor for r in a], [r.processor for r in c], 2))
    print(row(f"{name}: seconds", [r.wall for r in a], [r.wall for r in c], 2))
    used_x, used_y = ([1000 * each["processor"] / count for each in runs] for runs in (x, y))
    print(row("embedding, processor milliseconds a text", used_x, used_y, 1))
    rate_x, rate_y = ([count / each["seconds"] for each in runs] for runs in (x, y))
    print(row("embedding, texts a second", rate_x, rate_y, 1))
    print(
        f"\nthe peer's labels: {json.loads(a[0].out)['labels']}, triage's: {json.loads(b[0].out)['labels']}"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="What labelling costs, beside what a user would write first."
    )
    parser.add_argument("--weights", type=Path, required=True, help="PyTorch weights of the same encoder")
    parser.add_argument("--peer-python", required=True, help="a Python with sentence-transformers")
    parser.add_argument("--texts", type=Path, required=True, metavar="FILE", help="issues to embed")
    parser.add_argument("--number", type=int, default=300, help="how many of them (default: 300)")
    parser.add_argument("--issues", type=int, default=10_000, help="known issues (default: 10000)")
    parser.add_argument("--runs", type=int, default=5, help="labelling runs each (default: 5)")
    parser.add_argument("--embedding-runs", type=int, default=3, help="embedding runs each (default: 3)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(given, Path(folder))


if __name__ == "__main__":
    main()
