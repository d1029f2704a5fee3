"""Nothing is lost and nothing doubled: each command killed at every moment, and every two of them run at once.

    python -m benchmarks.kills [--command NAME]... [--no-kills] [--no-pairs]

The commands of `faults.py`, with retraining into the repository's store, run as processes against the fake GitHub of
the tests, on the first issues of the sample. A process is ended by SIGKILL

- at each of its requests, before the request is carried out;
- at each of its writes, after it was carried out and before it is answered;
- at each change of a file in its folder.

What is left must be whole: labels that were there or are planned, and an active bundle that loads. The same command,
run again, must then end with what an undisturbed run leaves, with no label set or removed twice.

In a pair, two commands work on the same issue, journal, folder and store at the same time. Each must end well, or with
an error in words; afterwards both are run again, one after the other, and the same must be true.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks.faults import BOT, COMMANDS, Desk, Task, reached, run
from benchmarks.walk import REPOSITORY, SAMPLE
from tests.fake_github.faults import Drop, Hook, When
from tests.fake_github.graphql import GraphQL
from tests.fake_github.issue import Issue
from tests.fake_github.server import FakeGitHub
from tests.fake_github.validate import OpenApi
from tests.fake_github.wire import Request
from tests.fetch_specs import GRAPHQL, OPENAPI, ensure
from tests.remembering import Memory
from triage.cli import main as program
from triage.engine.encoder import OnnxModel
from triage.github.client import Tracker
from triage.github.git_store import GitStore

# Children come from a process that has everything imported, so that each is there at once.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["benchmarks.faults", "triage.github.transport", "github", "requests"])
ISSUES = 60
REFUSED = {2, 5, 8, 9, 10}
CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir"}


def child(argv: Sequence[str], environment: Mapping[str, str], memory: Path, said: Path, step: int) -> None:
    """The program in a process of its own, killed when it is about to change a file for the time number `step`."""
    os.environ.update(environment)
    models = Memory(memory)

    def opened(model: OnnxModel, path: Path, threads: int = 1) -> None:
        models.open(model, path, threads)

    OnnxModel.__init__ = opened  # type: ignore[method-assign]
    OnnxModel.answer = lambda model, feeds: models.answer(model, feeds)  # type: ignore[method-assign]  # noqa: PLW0108
    steps = itertools.count()
    folder = str(said.parent / "run")

    def watch(event: str, args: tuple[object, ...]) -> None:
        change = event in CHANGES
        if event == "open":
            change = isinstance(args[2], int) and bool(args[2] & (os.O_WRONLY | os.O_RDWR))
        if change and str(args[0]).startswith(folder) and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    if step >= 0:
        sys.addaudithook(watch)
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            code = program(argv)
        except Exception:
            traceback.print_exc(file=text)
            code = 1
    said.write_text(text.getvalue(), "utf-8")
    sys.exit(code)


@dataclass
class Range:
    """Starts processes at a desk, and looks at what they leave."""

    desk: Desk

    def start(self, task: Task, step: int = -1) -> tuple[BaseProcess, Path]:
        memory = self.desk.folder / "memory"
        said = self.desk.folder / f"said-{next(self.desk._numbers)}"
        names = [name for name in os.environ if name.startswith(("GITHUB_", "INPUT_"))]
        environment = {name: os.environ[name] for name in names}
        process = CONTEXT.Process(target=child, args=(task.argv, environment, memory, said, step))
        process.start()
        return process, said

    def run(self, task: Task, step: int = -1) -> tuple[int, str]:
        process, said = self.start(task, step)
        return self.ended(process, said)

    def ended(self, process: BaseProcess, said: Path) -> tuple[int, str]:
        process.join(300)
        assert process.exitcode is not None, "it hangs"
        return process.exitcode, said.read_text("utf-8") if said.exists() else ""

    def killed_at(self, task: Task, request: int, when: When) -> bool:
        """Whether the run came to that request, at which it was killed: before or after it was carried out."""
        process: list[BaseProcess] = []
        ended = threading.Event()
        faults = self.desk.github.faults
        faults.clear()

        def kill(_: Request) -> None:
            process[0].kill()
            # Only one thread may wait for the process itself: its exit code is read from a pipe, once.
            ended.wait(60)

        def match(request: Request) -> bool:
            return request.writes or when == "before"

        faults.add(Hook(kill, when), skip=request, when=match)
        faults.add(Drop(when), skip=request, when=match)
        process.append(self.start(task)[0])
        process[0].join(300)
        ended.set()
        faults.clear()
        return process[0].exitcode == -signal.SIGKILL

    def wrong(self, task: Task) -> str:
        """What is wrong with what a killed run left, and with what running it again makes of it."""
        if found := self.damage():
            return found
        code, said = self.run(task)
        if code or not task.after():
            return f"run again: {code}, {said[-1_500:]}"
        return self.damage()

    def damage(self) -> str:
        """A label that was set or removed twice, or an active bundle that cannot be loaded."""
        for issue in self.desk.repository.issues.values():
            if issue.number >= 10_000 and (twice := _twice(issue)):
                return f"#{issue.number}: {twice} twice in a row"
        store = GitStore(self.tracker())
        active = store.role("active")
        if active and store.load(active).manifest.issues < ISSUES // 2:
            return f"{active} is not whole"
        return ""

    def tracker(self) -> Tracker:
        github = self.desk.github
        return Tracker(
            REPOSITORY, os.environ["GITHUB_TOKEN"], api_url=github.url, graphql_url=github.graphql_url
        )

    def kills(self, command: str) -> Iterator[str]:
        """What was wrong after each kill of a command, "" where nothing was."""
        moments: tuple[When, When] = ("before", "after")
        for when in moments:
            for request in itertools.count():
                task = self.desk.task(command)
                if not self.killed_at(task, request, when):
                    break
                yield self._told(f"{command}, request {request}, {when}", self.wrong(task))
        for step in itertools.count():
            task = self.desk.task(command)
            if self.run(task, step)[0] != -signal.SIGKILL:
                break
            yield self._told(f"{command}, change of a file {step}", self.wrong(task))

    def pair(self, one: str, other: str) -> str:
        """What was wrong with two commands at once."""
        tasks = self.desk.together(one, other)
        started = [self.start(task) for task in tasks]
        for process, said in started:
            code, text = self.ended(process, said)
            if code and (code not in REFUSED or "error: " not in text or "Traceback" in text):
                return self._told(f"{one} and {other}", f"{code}, {text[-1_500:]}")
        found = self.damage()
        for task in tasks:
            code, text = self.run(task)
            if code and (code not in REFUSED or "Traceback" in text):
                found = found or f"run again: {code}, {text[-1_500:]}"
        return self._told(f"{one} and {other}", found or self.damage())

    def _told(self, where: str, wrong: str) -> str:
        if wrong:
            print(f"{where}: {wrong}", flush=True)
        return wrong


def _twice(issue: Issue) -> str:
    """The name of a label that the bot set, or removed, twice in a row."""
    last: dict[str, str] = {}
    for event, name, actor in issue.label_events:
        if actor == BOT and last.get(name) == event:
            return f"{name} {event}"
        last[name] = event
    return ""


class KillDesk(Desk):
    """A desk with few issues, whose commands may share what they work on, and whose folders are watched."""

    def retrain(self) -> Task:
        """Into the repository's store, always: as a schedule does after new labels."""
        return Task(("retrain", f"--from={REPOSITORY}", self.store, "--adapt=none", "--always"))

    @property
    def store(self) -> str:
        return f"--store=github:{REPOSITORY}"

    def together(self, one: str, other: str) -> list[Task]:
        """Two tasks on the same issue, journal, folder and store."""
        issue, path = self._planned()
        argv = {
            "label": ("label", f"--repo={REPOSITORY}", f"--issue={issue.number}", self.store),
            "apply": ("backfill", f"--apply={path}", "--per-minute=60000"),
            "undo": ("undo", str(path.with_suffix(".journal.jsonl")), "--per-minute=60000"),
        }
        if "undo" in {one, other}:
            code, said = run(*argv["apply"])
            assert code == 0, said
        plan = self.plan()
        argv |= {"plan": plan.argv, "publish": self.task("publish").argv, "retrain": self.retrain().argv}
        if "publish" not in {one, other}:
            self.repository.git.refs.update(self._published)
        return [Task(argv[one]), Task(argv[other])]


def furnished(github: FakeGitHub, folder: Path) -> KillDesk:
    """A desk with the first issues of the sample and a bundle learnt from them."""
    rows = (SAMPLE / "issues.jsonl").read_text("utf-8").splitlines(keepends=True)[:ISSUES]
    few = folder / "few.jsonl"
    few.write_text("".join(rows), "utf-8")
    learnt = folder / "learnt"
    config = f"--config={SAMPLE / 'triage.yml'}"
    code, said = run("retrain", f"--from={few}", config, f"--store={learnt}", "--adapt=none")
    assert code == 0, said
    desk = KillDesk(github, folder, learnt)
    for number in list(desk.repository.issues)[ISSUES:]:
        del desk.repository.issues[number]
    return desk


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="kills.py", description="Commands killed at every moment, and two at once."
    )
    parser.add_argument("--command", action="append", choices=COMMANDS, help="only this one; may be repeated")
    parser.add_argument("--no-kills", action="store_true", help="only pairs")
    parser.add_argument("--no-pairs", action="store_true", help="only kills")
    given = parser.parse_args()
    commands = given.command or COMMANDS
    with (
        FakeGitHub(OpenApi(ensure(OPENAPI)), GraphQL(ensure(GRAPHQL))) as github,
        tempfile.TemporaryDirectory() as folder,
        reached(github),
    ):
        office = Range(furnished(github, Path(folder)))
        if not given.no_kills:
            for command in commands:
                print(f"| {command} killed | {_count(office.kills(command))} |", flush=True)
        if not given.no_pairs:
            pairs = itertools.combinations_with_replacement(commands, 2)
            print(f"| pairs | {_count(itertools.starmap(office.pair, pairs))} |", flush=True)


def _count(wrongs: Iterator[str]) -> str:
    found = list(wrongs)
    return f"{len(found)} | {sum(map(bool, found))}"


if __name__ == "__main__":
    main()
