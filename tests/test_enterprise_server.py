"""GitHub Enterprise Server: requests are those of its own published description, and no artifact is needed."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_github.faults import error
from tests.fake_github.fixtures import BOT_TOKEN, specification
from tests.fake_github.graphql import GraphQL
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.validate import OpenApi
from tests.fetch_specs import ENTERPRISE
from tests.live import FERRY, STORAGE, Step
from tests.sample import CONFIG
from tests.tracking import tracker_of
from tests.workflows import ROOT, Workflow
from triage.github.git_store import GitStore

EXAMPLES = ROOT / "examples" / "workflows"
VERSION = "3.17.4"


@pytest.fixture(scope="module")
def described(pytestconfig: pytest.Config) -> OpenApi:
    """The REST API of the oldest version that GitHub describes today."""
    return OpenApi(specification(pytestconfig, ENTERPRISE))


@pytest.fixture
def github(described: OpenApi, published: tuple[OpenApi, GraphQL]) -> Iterator[FakeGitHub]:
    """A server of one's own, in place of github.com."""
    with FakeGitHub(described, published[1]) as server:
        server.world.enterprise_version = VERSION
        server.world.add_token(BOT_TOKEN, ACTIONS_BOT, issues="write", contents="write")
        yield server
    assert (server.violations, server.crashes) == ([], [])


def test_the_check_recognises_the_server_and_says_what_it_lacks(step: Step) -> None:
    """By what the server says of itself; it is fine to use all the same."""
    step.configure(CONFIG.read_text("utf-8"))
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 0
    assert f"✓ the server is GitHub Enterprise Server {VERSION}\n" in step.out
    assert (
        "! the server does not run version 4 and later of the actions that upload and download artifacts"
        in step.out
    )
    assert "is tested with" not in step.out


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (
            "3.9.1",
            [
                "✓ the server is GitHub Enterprise Server 3.9.1",
                "! triage is tested with the API of 3.17",
            ],
        ),
        ("3.20.0", ["✓ the server is GitHub Enterprise Server 3.20.0"]),
        ("", []),
        ("::error::3", []),
        ("9" * 5000, []),
    ],
)
def test_a_version_is_compared_by_its_numbers(step: Step, version: str, words: list[str]) -> None:
    """3.9 is older than 3.17; what is no version is not repeated, and github.com is not mentioned."""
    step.github.world.enterprise_version = version
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 0
    assert [word for word in words if word not in step.out] == []
    assert step.out.count("Enterprise Server") == (1 if words else 0)
    assert ("is tested with" in step.out) == (len(words) == 2)


def test_labels_are_not_suggested_where_the_server_has_no_suggestions(step: Step) -> None:
    """The configuration asks for what cannot be."""
    step.configure("act: {suggest: 0.5, suggest_in: github}")
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 4
    assert (
        "✗ no label is suggested: GitHub Enterprise Server has no label suggestions; set act.suggest_in to comment"
        in step.out
    )


def test_a_server_that_hides_its_version_does_not_end_the_check(step: Step) -> None:
    """Some answer only to administrators; the rest is checked."""
    step.github.faults.add(error(404, "Not Found"), times=None, path="/meta$")
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 0
    assert "✓ the token may set labels" in step.out


def test_one_job_without_artifacts_learns_publishes_and_then_labels(past: Step, tmp_path: Path) -> None:
    """With the permissions that its file names; the events after it use the bundle."""
    past.configure(CONFIG.read_text("utf-8"))
    workflow = Workflow(EXAMPLES / "triage-retrain-one-job.yml", past.github, tmp_path, {})
    workflow.run("retrain", {})
    assert GitStore(tracker_of(past.github, repo=FERRY)).role("active")
    assert not workflow.artifacts.exists()
    past.happen(past.repository.issues[STORAGE])
    assert past.run("action") == 0
    assert "bug" in past.repository.issues[STORAGE].label_names


def test_the_steps_of_the_page_bring_a_release_to_a_server(tmp_path: Path) -> None:
    """With git itself: the copy names the registry, has no workflow of github.com, and is what workflows name."""
    release, server = tmp_path / "github" / "triage", tmp_path / "server"
    page = (ROOT / "docs" / "start" / "enterprise-server.md").read_text("utf-8")
    text = page.replace("https://github.com/triage-bot/triage", str(release))
    text = text.replace("https://SERVER/ORG/triage", str(server))
    copying = "\n".join(re.findall(r"^ +\$ ((?:git|cd|sed) .*)$", text, re.MULTILINE))
    copying, naming = copying.rsplit("\n", 1)

    def run(command: str, at: Path) -> str:
        who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com"}
        who |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()}
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=at,
            env=os.environ | who,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    for path in [ROOT / "action.yml", *ROOT.glob("*/action.yml"), *ROOT.glob(".github/workflows/*.yml")]:
        copy = release / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        pinned = f"  image: docker://ghcr.io/triage-bot/triage@sha256:{'0' * 64}"
        copy.write_text(re.sub(r"(?m)^  image: .*Dockerfile$", pinned, path.read_text("utf-8")), "utf-8")
    run("git init -q && git add . && git commit -qm release && git tag v0.1.0", release)
    run(f"git init -q --bare {server}", tmp_path)
    run(copying, tmp_path)
    assert run("git for-each-ref --format='%(refname)'", server).split() == [
        "refs/heads/main",
        "refs/tags/v0",
        "refs/tags/v0.1.0",
    ]
    files = run("git ls-tree -r --name-only v0", server).split()
    assert "action.yml" in files
    assert not any(file.startswith(".github/") for file in files)
    images = run("git grep -h 'image:' v0", server).split("\n")[:-1]
    assert len(images) == len(files)
    assert {image.partition("@")[0] for image in images} == {"  image: docker://REGISTRY/triage"}
    assert run("git grep -F '$/' v0 || true", server) == ""

    workflows = tmp_path / ".github" / "workflows"
    workflows.mkdir(parents=True)
    for path in EXAMPLES.glob("*.yml"):
        (workflows / path.name).write_text(path.read_text("utf-8"), "utf-8")
    run(naming, tmp_path)
    named = "".join(path.read_text("utf-8") for path in workflows.iterdir())
    assert "triage-bot" not in named
    assert "uses: ORG/triage/retrain@v0" in named
