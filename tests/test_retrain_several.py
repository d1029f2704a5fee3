"""`triage retrain` from an organisation: one bundle, in which each repository's own labels stay its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fake_github.repository import Repository
from tests.learning import HOME, RETRAIN, active, histories, populate
from tests.live import FERRY, STORAGE, Step
from tests.sample import CONFIG
from triage.bundle.ivf_files import RepositorySlice
from triage.bundle.local_store import LocalStore
from triage.issue import Issue

QUAY, ATTIC = "lanternfish-io/quay", "lanternfish-io/old-attic"
LEARN = "learn: {{trusted_bots: [ferry-ci-robot], min_new: 5, repositories: {}, shared: {}}}\n"


def learn(step: Step, repositories: list[str], shared: list[str]) -> None:
    step.configure(CONFIG.read_text("utf-8") + LEARN.format(json.dumps(repositories), json.dumps(shared)))


@pytest.fixture
def quay(past: Step) -> Repository:
    """A second repository with copies of sixty issues, whose `bug` is called `defect`; and one that is old."""
    world = past.github.world
    repository = world.add_repository(QUAY)
    issues = [issue for issue in histories() if issue.events is None and issue.labels][:60]
    for issue in issues:
        labels = tuple("defect" if name == "bug" else name for name in issue.labels)
        moved = Issue(QUAY, issue.number, issue.title, issue.body, issue.created_at, False, "ann", labels)
        populate(repository, [moved])
    world.add_repository(ATTIC).add_issue("Crash")
    fork = world.add_repository("lanternfish-io/fork")
    fork.fork = True
    return repository


def test_an_organisation_becomes_one_bundle(past: Step, quay: Repository, tmp_path: Path) -> None:
    """By pattern; issues of all, a label that is not shared learnt only where it was set, and asked for only there."""
    learn(past, ["lanternfish-io/*", "!*/old-*"], ["area: *", "bug", "question"])
    assert past.run(*RETRAIN) == 0, past.err
    bundle = active(past)
    assert bundle.manifest.sources == (FERRY, QUAY)
    assert bundle.rules.shared == ("area: *", "bug", "question")
    assert {repo for repo, _ in bundle.rows.keys} == {FERRY, QUAY}
    assert f"reading 2 repositories: {len(past.repository.issues) + 60} issues in about" in past.err
    # The twins of the nearest issues in the other repository say `defect`, which means nothing here.
    issue = past.repository.issues[STORAGE]
    past.happen(issue)
    assert past.run("label", f"--store={HOME}", "--dry-run") == 0
    own = past.outputs["scores"][str(STORAGE)]["defect"]
    learn(past, [QUAY], ["*"])
    assert past.run(*RETRAIN, "--always") == 0
    assert past.run("label", f"--store={HOME}", "--dry-run") == 0
    across = past.outputs["scores"][str(STORAGE)]["defect"]
    assert own < 0.05 < across


def test_patterns_go_with_a_configuration_of_ones_own(past: Step, quay: Repository, tmp_path: Path) -> None:
    """`--from` takes them too; a bracket is no part of them."""
    folder = tmp_path / "by-pattern"
    config = tmp_path / "triage.yml"
    config.write_text(CONFIG.read_text("utf-8"), "utf-8")
    options = (f"--store={folder}", f"--config={config}", "--adapt=none")
    assert past.run("retrain", "--from=lanternfish-io/[fq]*", *options) == 2
    assert "error: 'lanternfish-io/[fq]*' is not of the form OWNER/NAME" in past.err
    assert past.run("retrain", "--from=lanternfish-io/*", "--from=!lanternfish-io/old-*", *options) == 0
    store = LocalStore(folder)
    assert store.load(store.role("active") or "").manifest.sources == (FERRY, QUAY)


def test_a_private_repository_that_a_pattern_finds_is_not_told_to_everybody(
    past: Step, quay: Repository
) -> None:
    """The store is public: nothing is read, nothing is written; `check` says it beforehand."""
    quay.private = True
    learn(past, ["lanternfish-io/*"], ["*"])
    assert past.run(*RETRAIN) == 7
    words = f"the issues of {QUAY} are private, and the store {FERRY} is public"
    assert f"error: {words}" in past.err
    assert past.writes == []
    assert past.run("check", f"--repo={FERRY}", f"--store={HOME}") == 7
    assert f"✗ {words}" in past.out
    learn(past, ["lanternfish-io/*", f"!{QUAY}"], ["*"])
    past.run("check", f"--repo={FERRY}", f"--store={HOME}")
    assert "✓ learn.repositories names 2 repositories; skipped as forks or without issues: 1" in past.out


def test_a_pattern_that_finds_nothing_ends_the_run(past: Step, quay: Repository) -> None:
    """So does `check`; with patterns alone, somebody has to say whose configuration counts."""
    learn(past, ["lanternfish-io/pier-*"], ["*"])
    assert past.run(*RETRAIN) == 8
    assert (
        "error: no repository matches lanternfish-io/pier-*: the token sees 4 of lanternfish-io" in past.err
    )
    assert past.run("check", f"--repo={FERRY}", f"--store={HOME}") == 8
    assert "✗ no repository matches lanternfish-io/pier-*" in past.out
    assert past.run("retrain", "--from=lanternfish-io/*", f"--store={HOME}") == 2
    assert "lanternfish-io/* does not say which repository's configuration applies" in past.err


def test_an_event_fetches_its_own_repositorys_part_and_decides_as_with_all_of_it(
    past: Step, quay: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is shared and the index is large: other repositories' codes stay where they are."""
    monkeypatch.setattr("triage.engine.ivf_build.EXACT_ROWS", 50)
    monkeypatch.setattr("triage.github.git_store.PART", 2_000)
    learn(past, ["lanternfish-io/*", "!*/old-*"], [])
    assert past.run(*RETRAIN) == 0, past.err
    assert active(past).codes is not None
    past.happen(past.repository.issues[STORAGE])
    scores, fetched = [], []
    for part in (True, False):
        if not part:
            monkeypatch.setattr(RepositorySlice, "of", lambda *_: None)
        past.github.requests.clear()
        assert past.run("label", f"--store={HOME}", "--dry-run") == 0, past.err
        scores.append(past.outputs["scores"])
        fetched.append(sum("/git/blobs/" in request.path for request in past.github.requests))
    assert scores[0] == scores[1]
    assert scores[0][str(STORAGE)]
    assert fetched[0] < fetched[1]


def test_whoever_creates_a_repository_that_a_pattern_finds_teaches_no_other_unless_told(
    past: Step, quay: Repository
) -> None:
    """Without `learn.shared`, labels count in their own repository only; `check` says who teaches whom."""
    pattern = f"{CONFIG.read_text('utf-8')}learn: {{repositories: ['lanternfish-io/*']}}\n"
    past.configure(pattern)
    assert past.run(*RETRAIN) == 0, past.err
    assert active(past).rules.shared == ()
    words = "a pattern chooses repositories and `learn.shared` is not set: labels count only in their own repository"
    assert words in past.out
    past.run("check", f"--repo={FERRY}", f"--store={HOME}")
    assert (
        "✓ no repository teaches another its labels: learn.shared is not set, and `lanternfish-io/*` chooses "
        "repositories" in past.out
    )


def test_a_pattern_for_one_run_shares_no_label_either(past: Step, quay: Repository, tmp_path: Path) -> None:
    """As one in the configuration; repositories that are named share all labels."""
    config = tmp_path / "triage.yml"
    config.write_text(CONFIG.read_text("utf-8"), "utf-8")
    for given, shared in (["lanternfish-io/*"], ()), ([FERRY, QUAY], ("*",)):
        store = LocalStore(tmp_path / str(len(given)))
        options = (f"--store={tmp_path / str(len(given))}", f"--config={config}", "--adapt=none")
        assert past.run("retrain", *(f"--from={name}" for name in given), *options) == 0, past.err
        assert store.load(store.role("active") or "").rules.shared == shared


@pytest.mark.parametrize(
    ("repositories", "shared", "sentence"),
    [
        (
            ["lanternfish-io/*", "!lanternfish-io/old-*"],
            ["bug", "area: *"],
            "! whoever may create a repository that `lanternfish-io/*` matches teaches all the others the labels "
            "`bug`, `area: *` (learn.shared)",
        ),
        (
            ["lanternfish-io/*"],
            [],
            "✓ no repository teaches another its labels: learn.shared is empty",
        ),
        (
            [QUAY],
            ["*"],
            f"✓ whoever may label issues in `{QUAY}` teaches the others the labels `*` (learn.shared)",
        ),
    ],
)
def test_a_check_says_who_teaches_whom(
    past: Step, quay: Repository, repositories: list[str], shared: list[str], sentence: str
) -> None:
    """With what the configuration shares."""
    learn(past, repositories, shared)
    past.run("check", f"--repo={FERRY}", f"--store={HOME}")
    assert sentence in past.out.splitlines()
