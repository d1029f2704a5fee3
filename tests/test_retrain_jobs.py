"""`triage retrain` as a workflow runs it: in two jobs, refused, overtaken, over a damaged bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.fake_github.faults import Hook
from tests.fake_github.fixtures import BOT_TOKEN
from tests.fake_github.state import ACTIONS_BOT
from tests.learning import RETRAIN, active
from tests.live import FERRY, Step
from tests.storing import ACTIVE, STAGED
from tests.test_git_store import spoil
from tests.tracking import tracker_of
from triage.world.git_store import GitStore


def two_jobs(step: Step, folder: Path) -> tuple[int, int]:
    """The exit codes of both jobs of the workflow, each with the permissions of its own."""
    environment, world = step.environment, step.github.world
    environment.setenv("INPUT_FOLDER", str(folder))
    environment.setenv("INPUT_ADAPT", "none")
    codes = []
    for command, token in (
        ("retrain", {"issues": "read", "contents": "read"}),
        ("publish", {"contents": "write"}),
    ):
        world.add_token(f"{command}-token", ACTIONS_BOT, **token)  # type: ignore[arg-type] # levels are literals
        environment.setenv("INPUT_COMMAND", command)
        environment.setenv("INPUT_TOKEN", f"{command}-token")
        codes.append(step.run("action"))
        if command == "retrain":
            assert step.writes == []
    return codes[0], codes[1]


def test_one_job_learns_and_another_publishes(past: Step, tmp_path: Path) -> None:
    """What reads strangers' words cannot write; what writes reads no issue."""
    past.github.requests.clear()
    assert two_jobs(past, tmp_path / "triage") == (0, 0)
    assert active(past).manifest.issues > 100
    published = [
        request
        for request in past.github.requests
        if request.token and request.token.may("contents", "write")
    ]
    assert not any("issues" in request.path or "issue" in str(request.body)[:200] for request in published)


def test_a_refused_candidate_is_handed_over_and_staged(past: Step, tmp_path: Path) -> None:
    """The learning job ends red and names the bundle; publishing keeps it aside."""
    past.run(*RETRAIN)
    name = GitStore(tracker_of(past.github, repo=FERRY)).named("active")
    past.configure("vote: {k: 1, m: 1, weighting: uniform}\nlearn: {min_new: 0}\n")
    past.github.requests.clear()
    assert two_jobs(past, tmp_path / "triage") == (10, 0)
    store = GitStore(tracker_of(past.github, repo=FERRY))
    assert store.named("active") == name
    assert (store.named("staged") or "") in past.out
    assert past.repository.git.refs.keys() >= {ACTIVE, STAGED}


def test_a_damaged_bundle_does_not_keep_the_next_one_from_being_learnt(past: Step) -> None:
    """Nothing is new, and yet another takes its place."""
    past.run(*RETRAIN)
    spoil(past.repository)
    assert past.run(*RETRAIN) == 0
    assert "there is nothing to compare with, so the new bundle takes its place" in past.out
    assert active(past).manifest.issues > 100


def test_a_retraining_that_another_one_overtook_is_told(past: Step) -> None:
    """The bundle that it was not compared with stays; its own is staged."""
    past.run(*RETRAIN)
    store = GitStore(tracker_of(past.github, repo=FERRY))
    quick = active(past)

    def overtake(_: object) -> None:
        past.github.faults.clear()
        manifest = type(quick.manifest)(**{**vars(quick.manifest), "created_at": "2999-01-01T00:00:00Z"})
        store.appoint("active", store.save(type(quick)(**{**vars(quick), "manifest": manifest})))

    past.github.faults.add(Hook(overtake), method="POST", path="git/blobs")
    assert past.run(*RETRAIN, "--always") == 9
    assert "error: 29990101T000000Z-" in past.err
    assert " was learnt, which was not compared with it\n" in past.err
    assert active(past).manifest.created_at.startswith("2999")
    assert store.named("staged") is not None


def test_a_persons_token_is_warned_about(past: Step) -> None:
    """What the bot sets with it would look like that person's word."""
    past.github.world.add_token(BOT_TOKEN, "marit-oh", issues="write", contents="write")
    assert past.run(*RETRAIN) == 0
    assert "::warning::the token is a person's (marit-oh)" in past.out
