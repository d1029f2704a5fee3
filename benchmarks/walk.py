"""How many files and functions of `triage/` one run passes through, and how often it moves from file to file.

    python -m benchmarks.walk [--walk NAME]... [--list] [--json FILE]

Four runs of the action are measured against the fake GitHub of the tests, with the bundle in git refs:

    retrain   learn a first bundle from the repository's issues
    label     label one issue for an `issues: opened` event
    plan      plan a backfill of the newest issues
    apply     apply that plan

Each run is a process of its own, profiled in all of its threads. Only code in `triage/` counts:

- *functions*: distinct functions, methods, lambdas and generator expressions that were entered. Module and class
  bodies do not count, nor do list, set and dict comprehensions, which are part of their function since Python 3.12,
  nor what `dataclasses` generates.
- *files*: the files in which these functions stand.
- *changes of file*: calls of such a function whose nearest caller in `triage/` is in another file. Library code
  in between is skipped; each resumption of a generator is a call; returns and the start of a thread are not counted.

The first two depend little on the amount of data, changes of file grow with it: compare them between versions of the
code, not between the four runs.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import io
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import yaml

import triage
from tests.fake_github.graphql import GraphQL
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.validate import OpenApi
from tests.fetch_specs import GRAPHQL, OPENAPI, ensure
from triage.cli import main as program

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "examples" / "sample"
PACKAGE = f"{Path(triage.__file__).parent}{os.sep}"
COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>")
WALKS = ("retrain", "label", "plan", "apply")

REPOSITORY, TOKEN, MAINTAINER = "lanternfish-io/ferry", "token", "maintainer"
# When the issues to label are opened: after all issues of the sample, so that `since` selects exactly them.
OPENED = datetime(2026, 3, 1, tzinfo=UTC)
NEW_ISSUES = 5


@dataclass(frozen=True)
class Walk:
    """What one run entered: the functions of each file, files in the order in which they were entered."""

    name: str
    files: Mapping[str, int]
    changes: int

    @property
    def functions(self) -> int:
        return sum(self.files.values())

    def to_dict(self) -> dict[str, object]:
        """The walk as a JSON object."""
        return {
            "walk": self.name,
            "files": len(self.files),
            "functions": self.functions,
            "changes": self.changes,
            "entered": dict(self.files),
        }


@dataclass
class Recorder:
    """Records the calls of functions in the package, in all threads started while it is recording."""

    entered: dict[CodeType, None] = field(default_factory=dict)
    changes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def walk(self, name: str) -> Walk:
        files: dict[str, int] = {}
        for code in self.entered:
            path = code.co_filename.removeprefix(PACKAGE)
            files[path] = files.get(path, 0) + 1
        return Walk(name, files, self.changes)

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or not _counts(code):
            return
        caller = _caller(frame)
        with self._lock:
            self.entered.setdefault(code)
            if caller and _is_function(caller) and caller.co_filename != code.co_filename:
                self.changes += 1


def _counts(code: CodeType) -> bool:
    return code.co_filename.startswith(PACKAGE) and _is_function(code) and code.co_name not in COMPREHENSIONS


def _is_function(code: CodeType) -> bool:
    """Whether it is anything but the body of a module or of a class."""
    return bool(code.co_flags & inspect.CO_OPTIMIZED)


def _caller(frame: FrameType) -> CodeType | None:
    """The code of the nearest caller in the package."""
    above = frame.f_back
    while above is not None and not above.f_code.co_filename.startswith(PACKAGE):
        above = above.f_back
    return above.f_code if above else None


def run_here(name: str, act: str, environment: Mapping[str, str], folder: Path, *, recorded: bool) -> Walk:
    """Run `triage action ACT` in this process, which is a fresh one. Raises RuntimeError if it fails."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    recorder, said = Recorder(), io.StringIO()
    profiled = recorder.recording() if recorded else contextlib.nullcontext()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), profiled:
        code = program(["action", act])
    if code:
        raise RuntimeError(f"{name}: exit code {code}\n{said.getvalue()}")
    return recorder.walk(name)


@dataclass(frozen=True)
class Workplace:
    """A repository on the fake GitHub, and the folder in which the action runs."""

    github: FakeGitHub
    repository: Repository
    folder: Path

    def action(
        self, name: str, act: str, *, event: object = None, recorded: bool = True, **inputs: str
    ) -> Walk:
        """Run the action `act` in a new process, with the defaults of its file for the inputs that are not given."""
        event_path = self.folder / "event.json"
        event_path.write_text(json.dumps(event or {"schedule": "0 4 * * 1"}), "utf-8")
        environment = {**self._runner(event_path), **_inputs(act, inputs)}
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            return pool.submit(run_here, name, act, environment, self.folder, recorded=recorded).result()

    def publish(self, learnt: Path) -> None:
        """Publish the bundle in a folder to the repository's git refs."""
        self.action("publish", "publish", recorded=False, folder=str(learnt))

    def retrain(self, *, recorded: bool = True) -> Walk:
        """Learn a bundle into a folder and publish it; only learning is measured."""
        learnt = self.folder / "learnt"
        walk = self.action("retrain", "retrain", recorded=recorded, folder=str(learnt))
        self.publish(learnt)
        return walk

    def open_issues(self) -> list[int]:
        """Open the issues to label."""
        self.github.world.clock.set(OPENED)
        made = [
            self.repository.add_issue(row["title"], row["body"], row["author"], number=row["number"])
            for row in _rows(SAMPLE / "new.jsonl")[:NEW_ISSUES]
        ]
        return [issue.number for issue in made]

    def label(self, number: int) -> Walk:
        """Label one issue for the event of its opening."""
        issue = self.repository.issues[number]
        payload = {
            "action": "opened",
            "issue": {"number": number, "title": issue.title, "body": issue.body},
            "repository": {"full_name": REPOSITORY},
        }
        return self.action("label", "label", event=payload)

    def plan(self, *, recorded: bool = True) -> Walk:
        """Plan a backfill of the issues to label."""
        return self.action("plan", "backfill", recorded=recorded, since=f"{OPENED:%Y-%m-%d}")

    def apply(self) -> Walk:
        """Apply the plan."""
        return self.action("apply", "backfill", apply="true")

    def _runner(self, event_path: Path) -> dict[str, str]:
        """The environment of a workflow step."""
        usual = {
            name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "INPUT_"))
        }
        return usual | {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.github.url,
            "GITHUB_GRAPHQL_URL": self.github.graphql_url,
            "GITHUB_SERVER_URL": self.github.server_url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_EVENT_PATH": str(event_path),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
        }


def _inputs(act: str, given: Mapping[str, str]) -> dict[str, str]:
    """The inputs of the action `act` as the runner passes them on."""
    file = ROOT / ("" if act == "label" else act) / "action.yml"
    declared = yaml.load(file.read_text("utf-8"), Loader=yaml.BaseLoader)["inputs"]
    values = {name: entry.get("default", "") for name, entry in declared.items()}
    values |= {"token": TOKEN, **given}
    return {f"INPUT_{name.upper()}": value for name, value in values.items()}


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def furnish(github: FakeGitHub, folder: Path) -> Workplace:
    """The sample's repository on the fake GitHub: its configuration, and its issues labelled by a maintainer."""
    repository = github.world.add_repository(REPOSITORY)
    for row in _rows(SAMPLE / "issues.jsonl"):
        for name in row["labels"]:
            if name.casefold() not in repository.labels:
                repository.add_label(name)
        at = datetime.fromisoformat(row["created_at"])
        issue = repository.add_issue(row["title"], row["body"], row["author"], at=at, number=row["number"])
        issue.add_labels(row["labels"], MAINTAINER, at=at + timedelta(hours=1))
    repository.put_file(".github/triage.yml", (SAMPLE / "triage.yml").read_text("utf-8"))
    github.world.add_token(TOKEN, ACTIONS_BOT, issues="write", contents="write")
    return Workplace(github, repository, folder)


def measure(
    workplace: Workplace, wanted: tuple[str, ...] = WALKS, learnt: Path | None = None
) -> Iterator[Walk]:
    """The wanted walks; `learnt` is a folder with a bundle of the sample, which saves learning one."""
    if "retrain" in wanted:
        yield workplace.retrain()
    elif learnt:
        workplace.publish(learnt)
    else:
        workplace.retrain(recorded=False)
    first, *_ = workplace.open_issues()
    if "label" in wanted:
        yield workplace.label(first)
    if "plan" in wanted or "apply" in wanted:
        walk = workplace.plan(recorded="plan" in wanted)
        if "plan" in wanted:
            yield walk
    if "apply" in wanted:
        yield workplace.apply()


def table(walks: list[Walk]) -> str:
    """The figures as Markdown."""
    rows = [f"| {w.name} | {len(w.files)} | {w.functions} | {w.changes:,} |" for w in walks]
    return "\n".join(["| walk | files | functions | changes of file |", "|---|--:|--:|--:|", *rows])


def listing(walk: Walk) -> str:
    """The files in the order in which they were entered, with the number of functions entered in each."""
    return "\n".join([f"\n{walk.name}:", *(f"{count:4}  {path}" for path, count in walk.files.items())])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="walk.py",
        description="Files, functions and changes of file that runs of the action pass through.",
    )
    parser.add_argument("--walk", action="append", choices=WALKS, help="only this run; may be repeated")
    parser.add_argument("--list", action="store_true", help="list the files entered, with their functions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and the files as JSON")
    given = parser.parse_args()
    wanted = tuple(given.walk or WALKS)
    with (
        FakeGitHub(OpenApi(ensure(OPENAPI)), GraphQL(ensure(GRAPHQL))) as github,
        tempfile.TemporaryDirectory() as folder,
    ):
        walks = list(measure(furnish(github, Path(folder)), wanted))
    print(table(walks))
    if given.list:
        print("\n".join(map(listing, walks)))
    if given.json:
        given.json.write_text(json.dumps([walk.to_dict() for walk in walks], indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
