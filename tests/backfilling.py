"""A desk at which plans are made and applied against the fake GitHub."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.fake_github.fixtures import BOT_TOKEN, DEMO
from tests.fake_github.issue import Issue
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.wire import Request
from triage.backfill.plan import END, Entry, Header, Promise, fingerprint, line
from triage.cli import main
from triage.config import Config
from triage.github import http
from triage.issue import format_time

# The program under a limit on the size of files, which fails like a disk without room.
FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from triage.cli import main
sys.exit(main(sys.argv[2:]))
"""
FAST = "--per-minute=60000"


def entry(number: int, *labels: str, **more: object) -> Entry:
    """An entry that would set these labels, each with a score of its own."""
    scores = {name: round(0.9 - 0.1 * i, 2) for i, name in enumerate(labels)}
    return Entry(number=number, labels=labels, scores=scores, **more)  # type: ignore[arg-type] # fields by name


def header(**more: object) -> Header:
    """The header of a plan for the demo under the default configuration."""
    usual: dict[str, object] = {
        "repo": DEMO,
        "bundle": "20260101T000000Z-0123456789",
        "created_at": "2026-01-01T00:00:00Z",
        "policy": fingerprint(Config()),
        "promises": {"bug": Promise(0.9, 40), "docs": Promise()},
        "figures": {"precision": 0.85, "coverage": 0.5, "issues": 200.0},
    }
    return Header(**(usual | more))  # type: ignore[arg-type] # fields by name


def write_plan(path: Path, entries: Iterable[Entry], **more: object) -> Path:
    """A complete plan at `path`."""
    path.write_text("".join([line(header(**more)), *map(line, entries), END]), "utf-8")
    return path


@dataclass
class Victim:
    """A process that is killed while it is being served."""

    process: subprocess.Popen[bytes] | None = None

    def kill(self, _: Request) -> None:
        """SIGKILL, and wait until it is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)

    def run(self, process: subprocess.Popen[bytes]) -> int:
        """The exit code, negative where a signal ended it."""
        self.process = process
        return process.wait(60)


@dataclass
class Desk:
    """Runs the program, in this process or in one of its own that can be killed."""

    github: FakeGitHub
    demo: Repository
    folder: Path
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch
    environment: dict[str, str] = field(default_factory=dict)
    out: str = ""
    err: str = ""

    def plan(self, *entries: Entry, **more: object) -> Path:
        """A plan made at this moment of GitHub's clock."""
        now = format_time(self.github.world.clock.tick())
        return write_plan(self.folder / "plan.jsonl", entries, **({"created_at": now} | more))

    def run(self, *argv: str | Path) -> int:
        """The exit code of the program in this process."""
        self.capture.readouterr()
        code = main([str(part) for part in argv])
        self.out, self.err = self.capture.readouterr()
        return code

    def apply(self, *argv: str) -> int:
        return self.run("backfill", f"--apply={self.folder / 'plan.jsonl'}", FAST, *argv)

    def undo(self, *argv: str) -> int:
        return self.run("undo", self.journal, FAST, *argv)

    def on_a_full_disk(self, room: int, *argv: str | Path) -> tuple[int, str]:
        """(exit code, standard error) of the program where no file may grow beyond so many bytes."""
        command = [sys.executable, "-c", FULL, str(room), *map(str, argv)]
        done = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    def start(self, *argv: str | Path) -> subprocess.Popen[bytes]:
        """The program in a process of its own."""
        command = [sys.executable, "-m", "triage", *map(str, argv)]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(command, env=os.environ | self.environment, stdout=quiet, stderr=quiet)

    @property
    def journal(self) -> Path:
        return self.folder / "plan.journal.jsonl"

    def impatient(self) -> None:
        """From now on waits for GitHub take no time."""
        self.patch.setattr(http, "time", SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic))

    def issues(self, count: int) -> list[Issue]:
        """So many new issues."""
        return [self.demo.add_issue(f"Issue {i}") for i in range(1, count + 1)]


@pytest.fixture
def desk(
    github: FakeGitHub,
    demo: Repository,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    """A desk in an empty folder, with the bot's token."""
    here = {
        "GITHUB_TOKEN": BOT_TOKEN,
        "GITHUB_API_URL": github.url,
        "GITHUB_GRAPHQL_URL": github.graphql_url,
        "GITHUB_SERVER_URL": github.server_url,
    }
    for name, value in here.items():
        monkeypatch.setenv(name, value)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_EVENT_PATH"):
        monkeypatch.delenv(name, raising=False)
    return Desk(github, demo, tmp_path, capsys, monkeypatch, here)
