"""Runs the jobs of a workflow file, each in a folder of its own, artifacts as folders."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from triage.cli import main

ROOT = Path(__file__).resolve().parents[1]
OURS = re.compile(r"triage-bot/triage(?:/([a-z]+))?")


def action_file(name: str) -> Path:
    """The file of an action by the command that it runs; `label` is the one at the top."""
    return ROOT / ("" if name == "label" else name) / "action.yml"


def declared(name: str) -> dict[str, Any]:
    """An action's file as plain values."""
    found: dict[str, Any] = yaml.load(action_file(name).read_text("utf-8"), Loader=yaml.BaseLoader)
    return found


def environment_of(name: str, given: Mapping[str, str]) -> dict[str, str]:
    """The variables that the runner sets for an action: every input with its default, by its name in capitals."""
    inputs = {each: entry.get("default", "") for each, entry in declared(name)["inputs"].items()}
    return {f"INPUT_{each.upper()}": value for each, value in {**inputs, **given}.items()}


EXPRESSION = re.compile(r"\$\{\{ *([^}]*?) *\}\}")


def evaluated(text: str, context: Mapping[str, str]) -> str:
    """The text with each expression that the context knows in its place; raises KeyError for any other."""
    return EXPRESSION.sub(lambda found: context[found[1]], text)


@dataclass(frozen=True)
class Workflow:
    """A workflow file as it was dispatched with these inputs; `folder` holds runners and artifacts."""

    path: Path
    github: FakeGitHub
    folder: Path
    inputs: Mapping[str, str]

    @property
    def jobs(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = yaml.load(self.path.read_text("utf-8"), Loader=yaml.BaseLoader)["jobs"]
        return found

    def runs_of(self, job: str) -> list[dict[str, str]]:
        """What `matrix` and `strategy` are in each run of the job."""
        matrix: Mapping[str, list[str]] = self.jobs[job].get("strategy", {}).get("matrix", {})
        if not matrix:
            return [{}]
        ((name, values),) = matrix.items()
        total = {"strategy.job-total": str(len(values))}
        return [{f"matrix.{name}": value, **total} for value in values]

    def run(self, job: str, where: Mapping[str, str]) -> None:
        """One run of a job, with the permissions that it names; raises AssertionError where the action fails."""
        runner = self.folder / "-".join([self.path.stem, job, *where.values()])
        runner.mkdir()
        context = {**where, "github.run_attempt": "1"}
        context |= {f"inputs.{name}": value for name, value in self.inputs.items()}
        token = f"{self.path.stem}-{job}"
        context["github.token"] = token
        self.github.world.add_token(token, ACTIONS_BOT, **self.jobs[job]["permissions"])
        for step in self.jobs[job]["steps"]:
            given = {name: evaluated(value, context) for name, value in step.get("with", {}).items()}
            kind = step["uses"].partition("@")[0]
            if ours := OURS.fullmatch(kind):
                _act(runner, ours[1] or "label", {"token": token, **given})
            elif kind == "actions/upload-artifact":
                shutil.copytree(runner / given["path"], self.artifacts / given["name"])
            else:
                assert kind == "actions/download-artifact"
                self._download(runner / given["path"], given)

    @property
    def artifacts(self) -> Path:
        return self.folder / f"{self.path.stem}-artifacts"

    def _download(self, to: Path, given: Mapping[str, str]) -> None:
        named = list(self.artifacts.glob(given.get("name") or given["pattern"]))
        assert named
        assert "name" in given or given["merge-multiple"] == "true"
        for artifact in named:
            shutil.copytree(artifact, to, dirs_exist_ok=True)


def _act(runner: Path, name: str, given: Mapping[str, str]) -> None:
    """An action, with every input set as the runner sets it."""
    files = {name: str(runner / name.lower()) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    here = {**environment_of(name, given), **files, "GITHUB_TOKEN": ""}
    said = io.StringIO()
    with chdir(runner), mock.patch.dict(os.environ, here), redirect_stdout(said), redirect_stderr(said):
        code = main(["action", *declared(name)["runs"].get("args", [])])
    assert code == 0, said.getvalue()
