"""How many requests each command sends to GitHub, and how long it takes where each request takes 150 ms.

    python -m benchmarks.event [--run NAME]... [--latency SECONDS] [--json FILE]
    python -m benchmarks.event --phases N [--latency SECONDS]

The commands are run as processes against the fake GitHub of the tests, on the sample, with the bundle in git refs:

    label, dry run     an `issues: opened` event of an issue that gets two labels
    with comment       the same, with `act.comment`
    abstain            the same of an issue that says nothing, with an abstain label
    large bundle       as `label`, with 20,000 known issues, the most before an index is compressed (random vectors
                       beside the sample's)
    retrain            learn from the repository's issues into its store, and make the bundle active
    plan               plan a backfill of five issues
    apply, undo        a backfill of 100 issues, without its pace

With `--phases`, one event is labelled N times, and the parts of its time are printed as medians and 95th percentiles:
from the start of the process to the first request, reading (the issue, the configuration, the bundle), deciding, and
writing.

Latency is what the server waits before it answers, so that requests which are sent side by side wait together. This
measures the program, not a runner on GitHub.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

from benchmarks.faults import LABELS, SURE, reached, run
from benchmarks.walk import OPENED, REPOSITORY, SAMPLE, TOKEN, furnish
from tests.backfilling import FAST, entry, write_plan
from tests.fake_github.faults import Hook
from tests.fake_github.graphql import GraphQL
from tests.fake_github.issue import Issue
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.validate import OpenApi
from tests.fetch_specs import GRAPHQL, OPENAPI, ensure
from triage import config as configuration
from triage.backfill.plan import fingerprint
from triage.cli import main as program
from triage.issue import format_time

LATENCY = 0.15
PHASES = ("start", "read", "decide", "write", "in all")
MANY = 100
STORE = f"--store=github:{REPOSITORY}"
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Measured:
    """A command's requests, by what they ask, and its wall time from the start of the process.

    `waited` is how long at least one request was being answered. Both are in seconds.
    """

    run: str
    requests: Mapping[str, int]
    seconds: float
    waited: float

    @property
    def total(self) -> int:
        return sum(self.requests.values())

    def to_dict(self) -> dict[str, object]:
        """As a JSON object."""
        return {
            "run": self.run,
            "requests": self.total,
            "seconds": round(self.seconds, 2),
            "waited": round(self.waited, 2),
            "by": dict(self.requests),
        }


def child(argv: Sequence[str], environment: Mapping[str, str], folder: Path) -> tuple[int, str]:
    """(exit code, everything printed) of the program in this process, which is a fresh one."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = program(list(argv))
    return code, said.getvalue()


def _succeeded(name: str, code: int, said: str, done: Callable[[], bool]) -> None:
    if code or not done():
        raise RuntimeError(f"{name}: exit code {code}\n{said}")


@dataclass
class Bench:
    """The sample's repository on the fake GitHub, with a learnt bundle in its refs."""

    github: FakeGitHub
    folder: Path
    learnt: Path
    repository: Repository = field(init=False)

    def __post_init__(self) -> None:
        self.repository = furnish(self.github, self.folder).repository
        self.github.world.clock.set(OPENED)
        self._config = (SAMPLE / "triage.yml").read_text("utf-8")
        with reached(self.github):
            code, said = run("bundle", "publish", f"--of={self.learnt}", STORE)
        assert code == 0, said

    def count(self, name: str) -> int:
        """The requests of a command that is run within this process. Raises RuntimeError as `measure` does."""
        argv, done = RUNS[name](self)
        self.github.requests.clear()
        with reached(self.github), contextlib.chdir(self.folder):
            code, said = run(*argv)
        _succeeded(name, code, said, done)
        return len(self.github.requests)

    def measure(self, name: str, latency: float = LATENCY) -> Measured:
        """Prepare a command, and run it in a process of its own. Raises RuntimeError where it does not do its work."""
        argv, done = RUNS[name](self)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "INPUT_"))} | {
            "GITHUB_API_URL": self.github.url,
            "GITHUB_GRAPHQL_URL": self.github.graphql_url,
            "GITHUB_SERVER_URL": self.github.server_url,
            "GITHUB_TOKEN": TOKEN,
        }
        with self._delayed(latency) as spans:
            started = time.monotonic()
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                code, said = pool.submit(child, argv, environment, self.folder).result()
            seconds = time.monotonic() - started
        _succeeded(name, code, said, done)
        return Measured(name, Counter(map(str, self.github.requests)), seconds, _union(spans))

    def phases(self, latency: float = LATENCY) -> tuple[float, ...]:
        """The seconds of each of PHASES when `triage label` labels a new issue. Raises RuntimeError if it fails."""
        argv, done = self.label()
        with self._delayed(latency) as spans, reached(self.github):
            started = time.monotonic()
            finished = subprocess.run(
                [sys.executable, "-m", "triage", *argv], cwd=self.folder, capture_output=True, check=False
            )
            ended = time.monotonic()
        _succeeded("label", finished.returncode, finished.stderr.decode(), done)
        *reads, (written, _) = sorted(spans)
        first, read = reads[0][0], max(end for _, end in reads)
        return first - started, read - first, written - read, ended - written, ended - started

    @contextlib.contextmanager
    def _delayed(self, latency: float) -> Iterator[list[tuple[float, float]]]:
        """When each request arrived and was answered, while every one takes `latency` seconds."""
        spans: list[tuple[float, float]] = []

        def delay(_: object) -> None:
            now = time.monotonic()
            time.sleep(latency)
            spans.append((now, now + latency))

        self.github.faults.add(Hook(delay), times=None)
        self.github.requests.clear()
        yield spans
        self.github.faults.clear()

    def label(self) -> tuple[list[str], Callable[[], bool]]:
        issue = self._issue()
        return self._event(issue), lambda: issue.label_names == LABELS

    def dry_run(self) -> tuple[list[str], Callable[[], bool]]:
        issue = self._issue()
        return [*self._event(issue), "--dry-run"], lambda: issue.label_names == []

    def with_comment(self) -> tuple[list[str], Callable[[], bool]]:
        issue = self._issue()
        argv = self._event(issue, "act: {comment: true}\n")
        return argv, lambda: issue.label_names == LABELS and len(issue.comments) == 1

    def abstain(self) -> tuple[list[str], Callable[[], bool]]:
        if "needs-triage" not in self.repository.labels:
            self.repository.add_label("needs-triage")
        issue = self.repository.add_issue("test", "hello", "reporter")
        argv = self._event(issue, "labels: {abstain: needs-triage}\n")
        return argv, lambda: issue.label_names == ["needs-triage"]

    def large_bundle(self) -> tuple[list[str], Callable[[], bool]]:
        self._publish_large()
        issue = self._issue()
        return self._event(issue), lambda: issue.label_names == LABELS

    def retrain(self) -> tuple[list[str], Callable[[], bool]]:
        before = self.repository.git.refs["refs/triage/active"]
        argv = ["retrain", f"--from={REPOSITORY}", STORE, "--adapt=none", "--always"]
        return argv, lambda: self.repository.git.refs["refs/triage/active"] != before

    def plan(self) -> tuple[list[str], Callable[[], bool]]:
        for _ in range(5):
            self._issue()
        out = self.folder / "planned"
        argv = ["backfill", f"--from={REPOSITORY}", STORE, f"--out={out}", "--limit=5"]
        return argv, (out / "plan.jsonl").exists

    def apply(self) -> tuple[list[str], Callable[[], bool]]:
        issues, path = self._planned()
        return ["backfill", f"--apply={path}", FAST], lambda: all(i.label_names == LABELS for i in issues)

    def undo(self) -> tuple[list[str], Callable[[], bool]]:
        issues, path = self._planned()
        with reached(self.github):
            code, said = run("backfill", f"--apply={path}", FAST)
        assert code == 0, said
        argv = ["undo", str(path.with_suffix(".journal.jsonl")), FAST]
        return argv, lambda: all(issue.label_names == [] for issue in issues)

    def _issue(self) -> Issue:
        return self.repository.add_issue(SURE["title"], SURE["body"], SURE["author"])

    def _event(self, issue: Issue, more: str = "") -> list[str]:
        """The command line for the event of an issue's opening, with these lines in the configuration."""
        text = more if more and more.partition(":")[0] in self._config else self._config + more
        if self.repository.git.files("refs/heads/main").get(".github/triage.yml") != text.encode():
            self.repository.put_file(".github/triage.yml", text)
        path = self.folder / "event.json"
        payload = {
            "action": "opened",
            "issue": {"number": issue.number, "title": issue.title, "body": issue.body},
            "repository": {"full_name": REPOSITORY},
        }
        path.write_text(json.dumps(payload), "utf-8")
        return ["label", f"--event={path}", STORE]

    def _planned(self) -> tuple[list[Issue], Path]:
        self.repository.put_file(".github/triage.yml", self._config)
        issues = [self._issue() for _ in range(MANY)]
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        now = format_time(self.github.world.clock.tick())
        policy = fingerprint(configuration.load(SAMPLE / "triage.yml"))
        entries = [entry(issue.number, *LABELS) for issue in issues]
        path = write_plan(folder / "plan.jsonl", entries, repo=REPOSITORY, created_at=now, policy=policy)
        return issues, path

    def _publish_large(self) -> None:
        """Put a bundle of as many issues as are compared one by one in the place of the active one."""
        import numpy as np

        from triage.bundle.bundle import Rows
        from triage.bundle.local_store import LocalStore
        from triage.engine.ivf_build import EXACT_ROWS

        store = LocalStore(self.learnt)
        bundle = store.load(store.role("active") or "")
        known = len(bundle.vectors)
        random = np.random.default_rng(0)
        # Far from every issue in so many dimensions, so that the learnt ones vote as before.
        vectors = random.normal(size=(EXACT_ROWS, bundle.vectors.shape[1])).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors[:known] = bundle.vectors
        keys = [*bundle.rows.keys, *((REPOSITORY, 100_000 + i) for i in range(known, EXACT_ROWS))]
        labels = [bundle.rows.labels[i % known] for i in range(EXACT_ROWS)]
        manifest = replace(bundle.manifest, issues=EXACT_ROWS, created_at="2026-06-01T00:00:00Z")
        large = LocalStore(self.folder / "large")
        large.set_role(
            "active", large.save(replace(bundle, manifest=manifest, vectors=vectors, rows=Rows(keys, labels)))
        )
        with reached(self.github):
            code, said = run("bundle", "publish", f"--of={large.folder}", STORE)
            assert code in {0, 8, 9}, said
            name = large.role("active")
            code, said = run("bundle", "promote", str(name), STORE)
        assert code == 0, said


def _union(spans: Sequence[tuple[float, float]]) -> float:
    """How long at least one of the spans lasted."""
    covered = ends = 0.0
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, ends))
        ends = max(ends, end)
    return covered


RUNS: Mapping[str, Callable[[Bench], tuple[list[str], Callable[[], bool]]]] = {
    "label": Bench.label,
    "dry run": Bench.dry_run,
    "with comment": Bench.with_comment,
    "abstain": Bench.abstain,
    "retrain": Bench.retrain,
    "plan": Bench.plan,
    "apply": Bench.apply,
    "undo": Bench.undo,
    "large bundle": Bench.large_bundle,
}


@contextlib.contextmanager
def opened() -> Iterator[Bench]:
    """A bench with a bundle learnt from the sample."""
    with (
        FakeGitHub(OpenApi(ensure(OPENAPI)), GraphQL(ensure(GRAPHQL))) as github,
        tempfile.TemporaryDirectory() as folder,
    ):
        learnt = Path(folder) / "learnt"
        with reached(github):
            source, config = f"--from={SAMPLE / 'issues.jsonl'}", f"--config={SAMPLE / 'triage.yml'}"
            code, said = run("retrain", source, config, f"--store={learnt}", "--adapt=none")
        assert code == 0, said
        yield Bench(github, Path(folder), learnt)


def phases(bench: Bench, times: int, latency: float) -> str:
    """A table of the parts of an event's time; what is read from the disk for the first time is not counted."""
    bench.phases(latency)
    runs = zip(*(bench.phases(latency) for _ in range(times)), strict=True)
    lines = ["| part | median, s | 95th percentile, s |", "|---|--:|--:|"]
    for name, seconds in zip(PHASES, runs, strict=True):
        middle, *_, high = statistics.quantiles(seconds, n=20, method="inclusive")[9:]
        lines.append(f"| {name} | {middle:.2f} | {high:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="event.py", description="Requests and wall time of each command.")
    parser.add_argument("--run", action="append", choices=RUNS, help="only this one; may be repeated")
    parser.add_argument("--latency", type=float, default=LATENCY, help="seconds that a request takes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured")
    parser.add_argument("--phases", type=int, metavar="N", help="label one event N times, and time its parts")
    given = parser.parse_args()
    if given.phases:
        with opened() as bench:
            print(phases(bench, given.phases, given.latency))
        return
    found: list[Measured] = []
    print("| run | requests | waiting for GitHub, s | in all, s |\n|---|--:|--:|--:|")
    with opened() as bench:
        for name in given.run or RUNS:
            found.append(bench.measure(name, given.latency))
            one = found[-1]
            print(f"| {name} | {one.total} | {one.waited:.2f} | {one.seconds:.1f} |", flush=True)
    if given.json:
        given.json.write_text(json.dumps([one.to_dict() for one in found], indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
