"""The program run against the fake GitHub as a step of a workflow runs it, and what it left behind."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fake_github.fixtures import BOT_TOKEN
from tests.fake_github.issue import Issue
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.wire import Json
from tests.sample import Trained
from triage.cli import main
from triage.config import Config
from triage.engine.encoder import Encoder
from triage.issue import Issue as NewIssue

FERRY = "lanternfish-io/ferry"
# An issue of the sample that is a bug of `area: storage` beyond doubt, one of `area: sync`, a question, and a
# hostile one.
STORAGE, SYNC, QUESTION, HOSTILE = 938, 973, 946, 975
CONFIG_PATH = ".github/triage.yml"
OUTPUT = re.compile(r"^(\S+?)<<(triage-[0-9a-f]{32})\n(.*?)\n\2\n", re.MULTILINE | re.DOTALL)
WORKFLOW = ("GITHUB_", "INPUT_")
# Opening the real encoder takes half of a run's time, and it has no state.
opened_once = functools.cache(Encoder.load)


@dataclass
class Step:
    """One workflow step; `run` is the program within this process, with the environment of the runner."""

    github: FakeGitHub
    repository: Repository
    folder: Path
    store: Path
    environment: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""

    def run(self, *argv: str) -> int:
        """The exit code; outputs, summary and log are those of this run alone."""
        for path in (self.folder / "output", self.folder / "summary"):
            path.write_text("", "utf-8")
        self.capture.readouterr()
        code = main(argv)
        self.out, self.err = self.capture.readouterr()
        return code

    def label(self, *argv: str) -> int:
        """`triage label` with the bundle learnt from the sample."""
        return self.run("label", f"--store={self.store}", *argv)

    def happen(self, issue: Issue, action: str = "opened", **before: str) -> None:
        """Let an event of the issue have started the workflow; `before` is what an edit changed."""
        kind = "pull_request" if issue.is_pull else "discussion" if issue.is_discussion else "issue"
        changes: dict[str, Json] = {name: {"from": text} for name, text in before.items()}
        repository: dict[str, Json] = {"full_name": issue.repository.full_name}
        thing: dict[str, Json] = {"number": issue.number, "title": issue.title, "body": issue.body}
        if issue.repository.types:
            thing["type"] = {"name": issue.type.name} if issue.type else None
        self.event({"action": action, kind: thing, "changes": changes, "repository": repository})

    def event(self, payload: Json) -> None:
        """Let a payload be what started the workflow."""
        path = self.folder / "event.json"
        path.write_text(json.dumps(payload), "utf-8")
        self.environment.setenv("GITHUB_EVENT_PATH", str(path))

    def configure(self, text: str) -> None:
        """Put a configuration on the default branch."""
        self.repository.put_file(CONFIG_PATH, text)

    @property
    def outputs(self) -> dict[str, Any]:
        """The step's outputs, each decoded from JSON."""
        text = (self.folder / "output").read_text("utf-8")
        return {name: json.loads(value) for name, _, value in OUTPUT.findall(text)}

    @property
    def summary(self) -> str:
        return (self.folder / "summary").read_text("utf-8")

    @property
    def said(self) -> str:
        """Everything that anybody can read afterwards."""
        return self.out + self.err + self.summary + (self.folder / "output").read_text("utf-8")

    @property
    def writes(self) -> list[str]:
        """Every request that asked for a change."""
        return [str(request) for request in self.github.requests if request.writes]


def only_suggests(body: Json) -> bool:
    """Whether a REST request to add labels offers all of them, and sets none."""
    listed = body.get("labels") if isinstance(body, dict) else None
    return isinstance(listed, list) and all(isinstance(i, dict) and i.get("suggest") is True for i in listed)


@pytest.fixture
def ferry(github: FakeGitHub, sample_config: Config, new_issues: list[NewIssue]) -> Repository:
    """The sample's repository: its labels, described by the configuration alone, and its new issues."""
    repository = github.world.add_repository(FERRY)
    for name in sample_config.labels.descriptions:
        repository.add_label(name)
    for issue in new_issues:
        repository.add_issue(issue.title, issue.body, issue.author, number=issue.number)
    return repository


@pytest.fixture
def step(
    github: FakeGitHub,
    ferry: Repository,
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Step]:
    """A step of a workflow in the sample's repository; whatever it does, it must not print the token."""
    monkeypatch.setattr(Encoder, "load", opened_once)
    for name in [name for name in os.environ if name.startswith(WORKFLOW)]:
        monkeypatch.delenv(name)
    found = Step(github, ferry, tmp_path, trained.folder, monkeypatch, capsys)
    here = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": github.url,
        "GITHUB_GRAPHQL_URL": github.graphql_url,
        "GITHUB_SERVER_URL": github.server_url,
        "GITHUB_REPOSITORY": FERRY,
        "GITHUB_TOKEN": BOT_TOKEN,
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    for name, value in here.items():
        monkeypatch.setenv(name, value)
    for name in ("output", "summary"):
        (tmp_path / name).touch()
    yield found
    assert BOT_TOKEN not in found.said
    # Labels are set by id: REST would create those that do not exist. It may only suggest them.
    rest = [r for r in found.github.requests if r.writes and "labels" in str(r) and r.method != "POST"]
    posted = [r for r in found.github.requests if r.method == "POST" and r.path.endswith("/labels")]
    assert rest == [r for r in rest if str(r).startswith("mutation")]
    assert [r for r in posted if not only_suggests(r.body)] == []
