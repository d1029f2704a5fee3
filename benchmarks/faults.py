"""Faulty answers of a server at every request of every command: does each run end in words, and nothing half done?

    python -m benchmarks.faults [--command NAME]... [--fault WORDS]... [--json FILE]

Commands are run within this process against the fake GitHub of the tests, on the sample: label, plan, apply, undo,
publish, and retrain into a folder. For each of a command's requests, and each fault of `tests/faulty.py`, all
answers from that request on are faulty. A run must end with exit code 5, 7, 8 or 9 and an error in words, or with 0
where GitHub's answer does not matter; what stands on GitHub must be what was there before or what the command is for;
and the same command, run again without faults, must do the rest, once. Waits take no time; the deadline of an answer
that never ends is 0.15 s.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import itertools
import json
import os
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from benchmarks.walk import OPENED, REPOSITORY, SAMPLE, TOKEN, furnish
from tests.backfilling import FAST, entry, write_plan
from tests.fake_github.faults import Kind
from tests.fake_github.graphql import GraphQL
from tests.fake_github.issue import Issue
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.validate import OpenApi
from tests.faulty import ENDLESS, LIMITS, PASSING, PERMANENT
from tests.fetch_specs import GRAPHQL, OPENAPI, ensure
from triage import config as configuration
from triage.backfill.plan import fingerprint
from triage.cli import main as program
from triage.engine.encoder import Encoder
from triage.github import http, transport
from triage.github.rate_limit import RateLimiter
from triage.issue import format_time

FAULTS: Mapping[str, Kind] = {**PERMANENT, **PASSING, **LIMITS, **ENDLESS}
DEADLINE = 0.15
STORE = f"--store=github:{REPOSITORY}"
ACCEPTED = {0, 5, 7, 8, 9}
NEW = [json.loads(line) for line in (SAMPLE / "new.jsonl").read_text("utf-8").splitlines()]
# Of the new issues this one gets these labels beyond doubt.
SURE, LABELS = next(row for row in NEW if row["number"] == 938), ["bug", "area: storage"]
BOT = "github-actions[bot]"


@dataclass(frozen=True)
class Task:
    """A command to run, and what may be true of GitHub before and after it."""

    argv: tuple[str, ...]
    before: Callable[[], bool] = lambda: True
    after: Callable[[], bool] = lambda: True


@dataclass(frozen=True)
class Ending:
    """How one run ended; `wrong` is empty where it is as it must be."""

    command: str
    request: int
    fault: str
    code: int
    seconds: float
    wrong: str = ""


@dataclass
class Desk:
    """The sample's repository on the fake GitHub, with a learnt bundle in its refs."""

    github: FakeGitHub
    folder: Path
    learnt: Path
    repository: Repository = field(init=False)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(10_000))

    def __post_init__(self) -> None:
        self.repository = furnish(self.github, self.folder).repository
        self.github.world.clock.set(OPENED)
        self._refs = dict(self.repository.git.refs)
        code, said = run("bundle", "publish", f"--of={self.learnt}", STORE)
        assert code == 0, said
        self._published = dict(self.repository.git.refs)

    def label(self) -> Task:
        issue = self._issue()
        return Task(
            ("label", f"--repo={REPOSITORY}", f"--issue={issue.number}", STORE),
            lambda: issue.label_names == [],
            lambda: _once(issue, LABELS),
        )

    def plan(self) -> Task:
        out = self._new_folder()
        plan = (out / "plan.jsonl").exists
        source, since = f"--from={REPOSITORY}", "--since=2026-03-01"
        return Task(("backfill", source, STORE, f"--out={out}", since, "--limit=3"), lambda: not plan(), plan)

    def apply(self) -> Task:
        issue, path = self._planned()
        return Task(
            ("backfill", f"--apply={path}", FAST),
            lambda: issue.label_names == [],
            lambda: _once(issue, LABELS),
        )

    def undo(self) -> Task:
        issue, path = self._planned()
        code, said = run("backfill", f"--apply={path}", FAST)
        assert code == 0, said
        journal = path.with_suffix(".journal.jsonl")
        return Task(
            ("undo", str(journal), FAST),
            lambda: set(issue.label_names) <= set(LABELS),
            lambda: issue.label_names == [],
        )

    def publish(self) -> Task:
        git = self.repository.git
        git.refs.clear()
        git.refs.update(self._refs)
        active = "refs/triage/active"
        return Task(
            ("bundle", "publish", f"--of={self.learnt}", STORE),
            lambda: active not in git.refs,
            lambda: active in git.refs,
        )

    def retrain(self) -> Task:
        """Count the requests of reading; what is learnt does not matter here."""
        out = self._new_folder()
        return Task(("retrain", f"--from={REPOSITORY}", f"--store={out}", "--adapt=none"))

    def task(self, command: str) -> Task:
        """A new task of a command, on new issues where it changes any."""
        if command != "publish":
            self.repository.git.refs.update(self._published)
        made: Task = getattr(self, command)()
        self.github.requests.clear()
        return made

    def requests(self, command: str) -> int:
        """How many requests the command sends."""
        task = self.task(command)
        code, said = run(*task.argv)
        assert code == 0 and task.after(), said
        return len(self.github.requests)

    def strike(self, command: str, request: int, fault: str) -> Ending:
        """Run the command with this fault from its request number `request` on, and again without."""
        task = self.task(command)
        self.github.faults.add(FAULTS[fault], times=None, skip=request)
        kept, started = transport.DEADLINE, time.monotonic()
        transport.DEADLINE = DEADLINE if fault in ENDLESS else kept
        code, said = run(*task.argv)
        seconds = time.monotonic() - started
        transport.DEADLINE = kept
        self.github.faults.clear()
        ending = functools.partial(Ending, command, request, fault, code, seconds)
        if code not in ACCEPTED:
            return ending(f"exit code {code}: {said[-2_000:]}")
        if code and "\nerror: " not in f"\n{said}":
            return ending(f"no error in words: {said[-500:]}")
        if "Traceback" in said:
            return ending(f"a traceback: {said[-2_000:]}")
        if not (task.before() or task.after()):
            return ending("something is half done on GitHub")
        if command == "retrain":
            return ending()
        code, said = run(*task.argv)
        return ending() if code == 0 and task.after() else ending(f"the second run, {code}: {said[-500:]}")

    def _issue(self) -> Issue:
        # The newest issue is planned first: the ones before it are left out by --limit.
        return self.repository.add_issue(
            SURE["title"], SURE["body"], SURE["author"], number=next(self._numbers)
        )

    def _planned(self) -> tuple[Issue, Path]:
        issue = self._issue()
        path = self._new_folder() / "plan.jsonl"
        now = format_time(self.github.world.clock.tick())
        policy = fingerprint(configuration.load(SAMPLE / "triage.yml"))
        entries = [entry(issue.number, *LABELS)]
        return issue, write_plan(path, entries, repo=REPOSITORY, created_at=now, policy=policy)

    def _new_folder(self) -> Path:
        folder = self.folder / f"run-{next(self._numbers)}"
        folder.mkdir()
        return folder


COMMANDS = ("label", "plan", "apply", "undo", "publish", "retrain")


def _once(issue: Issue, labels: list[str]) -> bool:
    """Whether the bot set exactly these labels, each once."""
    return sorted(issue.label_events) == sorted(("labeled", name, BOT) for name in labels)


def run(*argv: str) -> tuple[int, str]:
    """(exit code, everything printed); the code is 1 for an exception that escaped."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = program(argv)
        except Exception:
            traceback.print_exc(file=said)
            code = 1
    return code, said.getvalue()


class HurriedClock:
    """Seconds pass as waits ask for them."""

    def __init__(self) -> None:
        self._waited = 0.0

    def wait(self, seconds: float) -> None:
        self._waited += seconds

    def now(self) -> float:
        """As `time.monotonic`, and what was waited for."""
        return time.monotonic() + self._waited


@contextlib.contextmanager
def reached(github: FakeGitHub) -> Iterator[None]:
    """The program reaches the fake GitHub, does not wait, and opens its model once."""
    kept = dict(os.environ), http.time, Encoder.load, RateLimiter.__init__
    clock = HurriedClock()
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "INPUT_"))]:
        del os.environ[name]
    os.environ |= {
        "GITHUB_API_URL": github.url,
        "GITHUB_GRAPHQL_URL": github.graphql_url,
        "GITHUB_SERVER_URL": github.server_url,
        "GITHUB_TOKEN": TOKEN,
    }
    http.time = SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic)  # type: ignore[assignment]
    hurried = functools.partialmethod(RateLimiter.__init__, wait=clock.wait, clock=clock.now)
    RateLimiter.__init__ = hurried  # type: ignore[method-assign, assignment]
    Encoder.load = functools.cache(Encoder.load)  # type: ignore[method-assign]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept[0])
        http.time, Encoder.load, RateLimiter.__init__ = kept[1:]  # type: ignore[method-assign]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="faults.py", description="Faulty answers at every request of every command."
    )
    parser.add_argument("--command", action="append", choices=COMMANDS, help="only this one; may be repeated")
    parser.add_argument(
        "--fault", action="append", choices=FAULTS, metavar="WORDS", help="only this one, as named"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write how each run ended")
    given = parser.parse_args()
    endings: list[Ending] = []
    with (
        FakeGitHub(OpenApi(ensure(OPENAPI)), GraphQL(ensure(GRAPHQL))) as github,
        tempfile.TemporaryDirectory() as folder,
        reached(github),
    ):
        learnt = Path(folder) / "learnt"
        source, config = f"--from={SAMPLE / 'issues.jsonl'}", f"--config={SAMPLE / 'triage.yml'}"
        code, said = run("retrain", source, config, f"--store={learnt}", "--adapt=none")
        assert code == 0, said
        desk = Desk(github, Path(folder), learnt)
        for command in given.command or COMMANDS:
            count = desk.requests(command)
            for number, fault in itertools.product(range(count), given.fault or FAULTS):
                endings.append(desk.strike(command, number, fault))
                if endings[-1].wrong:
                    print(endings[-1], flush=True)
            print(row(command, count, [e for e in endings if e.command == command]), flush=True)
    if given.json:
        given.json.write_text(json.dumps([vars(ending) for ending in endings], indent=1) + "\n", "utf-8")


def row(command: str, requests: int, endings: list[Ending]) -> str:
    """The command's row of the table: requests, runs, exit codes, the longest run, and runs that ended wrongly."""
    codes = Counter(ending.code for ending in endings)
    counts = ", ".join(f"{code}: {codes[code]}" for code in sorted(codes))
    longest = max(ending.seconds for ending in endings)
    wrong = sum(bool(ending.wrong) for ending in endings)
    return f"| {command} | {requests} | {len(endings)} | {counts} | {longest:.1f} | {wrong} |"


if __name__ == "__main__":
    main()
