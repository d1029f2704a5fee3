"""`triage retrain` as a workflow runs it: in two jobs, refused, overtaken, over a damaged bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.fake_github.faults import Hook
from tests.fake_github.fixtures import BOT_TOKEN
from tests.fake_github.state import ACTIONS_BOT, Level
from tests.learning import RETRAIN, active
from tests.live import FERRY, Step
from tests.test_git_store import spoil
from tests.tracking import tracker_of
from triage.bundle.local_store import LocalStore
from triage.github.git_store import GitStore


def job(step: Step, command: str, folder: Path, **permissions: Level) -> int:
    """The exit code of one job of the workflow, with the permissions of its own."""
    step.github.world.add_token(f"{command}-token", ACTIONS_BOT, **permissions)
    inputs = {"TOKEN": f"{command}-token", "FOLDER": str(folder)}
    if command == "retrain":
        inputs["ADAPT"] = "none"
    step.environment.delenv("INPUT_ADAPT", raising=False)
    for name, value in inputs.items():
        step.environment.setenv(f"INPUT_{name}", value)
    step.github.requests.clear()
    return step.run("action", command)


def named(step: Step, role: str) -> str:
    """The bundle in that role."""
    return GitStore(tracker_of(step.github, repo=FERRY)).role(role) or ""


def test_one_job_learns_and_another_publishes(past: Step, tmp_path: Path) -> None:
    """What reads strangers' words cannot write; what writes reads no issue."""
    folder = tmp_path / "triage"
    assert job(past, "retrain", folder, issues="read", contents="read") == 0
    assert past.writes == []
    made = LocalStore(folder).role("active") or ""
    assert "bundle<<triage-" in (past.folder / "output").read_text("utf-8")
    assert f"\n{made}\n" in (past.folder / "output").read_text("utf-8")
    assert job(past, "publish", folder, contents="write") == 0
    assert named(past, "active") == made
    assert past.out == f"{made} is active\n"
    assert not any("issues(" in str(request.body) for request in past.github.requests)


def test_a_refused_candidate_is_handed_over_and_staged(past: Step, tmp_path: Path) -> None:
    """The learning job ends red and names the bundle all the same; publishing keeps it aside."""
    past.run(*RETRAIN)
    before, folder = named(past, "active"), tmp_path / "triage"
    past.configure("vote: {k: 1, m: 1, weighting: uniform}\nlearn: {min_new: 0}\n")
    assert job(past, "retrain", folder, issues="read", contents="read") == 10
    made = LocalStore(folder).role("staged") or ""
    assert f"::error::{made} was not made active: " in past.out
    assert f"\n{made}\n" in (past.folder / "output").read_text("utf-8")
    assert f"### Bundle <code>{made}</code> is staged; the active bundle stays active\n" in past.summary
    assert "- **Objection:** " in past.summary
    assert job(past, "publish", folder, contents="write") == 0
    assert (named(past, "active"), named(past, "staged")) == (before, made)


def test_too_little_new_leaves_no_bundle_to_hand_over(past: Step, tmp_path: Path) -> None:
    """The output is empty, and the workflow skips the second job."""
    past.run(*RETRAIN)
    assert job(past, "retrain", tmp_path / "triage", issues="read", contents="read") == 0
    assert past.out.startswith("nothing to do: 0 labelled issues are new since ")
    assert (past.folder / "output").read_text("utf-8") == ""
    assert not (tmp_path / "triage").exists()


def test_a_publishing_job_without_the_permission_says_which(past: Step, tmp_path: Path) -> None:
    """Nothing is active then, and the job may be run again."""
    folder = tmp_path / "triage"
    job(past, "retrain", folder, issues="read", contents="read")
    assert job(past, "publish", folder, contents="read") == 8
    assert "lacks the permission `contents: write`" in past.err
    assert named(past, "active") == ""
    assert job(past, "publish", folder, contents="write") == 0
    assert named(past, "active") == LocalStore(folder).role("active")


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
        manifest = replace(quick.manifest, created_at="2999-01-01T00:00:00Z")
        store.set_role("active", store.save(replace(quick, manifest=manifest)))

    past.github.faults.add(Hook(overtake), method="POST", path="git/blobs")
    assert past.run(*RETRAIN, "--always") == 9
    assert "error: 29990101T000000Z-" in past.err
    assert " was learnt, so the two were not compared\n" in past.err
    assert active(past).manifest.created_at.startswith("2999")
    assert store.role("staged") is not None


def test_a_persons_token_is_warned_about(past: Step) -> None:
    """What the bot sets with it would look like that person's word."""
    past.github.world.add_token(BOT_TOKEN, "marit-oh", issues="write", contents="write")
    assert past.run(*RETRAIN) == 0
    assert "::warning::the token is a person's (marit-oh)" in past.out
