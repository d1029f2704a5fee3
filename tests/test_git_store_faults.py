"""Publishing into a repository while processes are killed, GitHub fails and others write: what is left is whole."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.fake_github.faults import (
    Cut,
    Drop,
    Hook,
    Kind,
    Slow,
    forbidden,
    outage,
    primary_limit,
    secondary_limit,
)
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.storing import ACTIVE, STAGED, activate, git_store, promote, publish, tiny
from tests.tracking import Sleeps, once_each, tracker_of
from triage.bundle.local_store import LocalStore
from triage.bundle.store import Store, activate_or_stage
from triage.errors import AccessError, LostRace, TriageError
from triage.github.errors import Overloaded, RateLimited
from triage.github.git_store import GitStore
from triage.learn.vectors import NAME


def test_of_two_retrainings_at_once_one_is_told_and_none_is_lost(
    github: FakeGitHub, demo: Repository
) -> None:
    """Both start from the same bundle and meet where the ref moves; the loser's bundle is kept aside."""
    activate(git_store(github), tiny(1))
    meeting, lost = threading.Barrier(2, timeout=30), list[str]()
    github.faults.add(Hook(lambda _: meeting.wait()), times=2, method="PATCH", path=ACTIVE)

    def retrain(day: int) -> None:
        try:
            publish(git_store(github), day)
        except LostRace as race:
            lost.append(race.what)

    runs = [threading.Thread(target=retrain, args=(day,)) for day in (2, 3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    store = git_store(github)
    assert lost == [f"{ACTIVE} was moved in the meantime"]
    assert {name[:8] for name in (store.role("active") or "", store.role("staged") or "")} == {
        "20260102",
        "20260103",
    }
    assert len(store.names()) == 3


@pytest.mark.parametrize("home", ["a repository", "a directory"])
def test_a_bundle_that_was_not_compared_with_the_active_one_is_only_staged(
    github: FakeGitHub, tmp_path: Path, home: str
) -> None:
    """Another retraining ended between the learning job and the publishing job."""
    store: Store = git_store(github) if home == "a repository" else LocalStore(tmp_path)
    first = activate(store, tiny(1))
    second, late = activate(store, tiny(2)), tiny(3, after=first)
    made = store.save(late)
    with pytest.raises(LostRace) as raised:
        activate_or_stage(store, made, late, "active")
    assert (
        raised.value.what == f"{second} became active while {made} was learnt, so the two were not compared"
    )
    assert (store.role("active"), store.role("staged")) == (second, made)


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        (secondary_limit(2, 429), 2.0),
        (secondary_limit(2, 403), 2.0),
        (outage(500), 0.5),
        (outage(502), 0.5),
        (outage(502, "after"), 0.5),
        (Drop("before"), 0.5),
        (Drop("after"), 0.5),
        (Cut(), 0.5),
        (Slow(0.001), None),
    ],
)
def test_publishing_survives_one_failure_of_every_request(
    github: FakeGitHub, demo: Repository, fault: Kind, waits: float | None
) -> None:
    """Sent again whether or not it was carried out, and the bundle is there once."""
    activate(git_store(github), tiny(1))
    github.faults.add(fault, times=None, when=once_each())
    sleeps = Sleeps()
    publish(GitStore(tracker_of(github, sleeps=sleeps)), 2)
    github.faults.clear()
    store = git_store(github)
    assert [name[:8] for name in store.names()] == ["20260102", "20260101"]
    assert store.load(store.role("active") or "").manifest.created_at == "2026-01-02T00:00:00Z"
    assert len(demo.git.history(demo.git.refs[ACTIVE])) == 2
    assert set(sleeps.seconds) == (set() if waits is None else {waits})


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        (primary_limit(9999), RateLimited),
        (secondary_limit(9999), RateLimited),
        (outage(502), Overloaded),
        (Drop("before"), Overloaded),
        (forbidden(), AccessError),
    ],
)
def test_a_failure_that_lasts_leaves_the_active_bundle(
    github: FakeGitHub, fault: Kind, failure: type[TriageError]
) -> None:
    """Whatever the last request was; the words are the failure's own."""
    first = activate(git_store(github), tiny(1))
    for path in ("git/blobs", "git/trees", "git/commits", ACTIVE):
        github.faults.add(fault, times=None, path=path, when=lambda request: request.writes)
        with pytest.raises(failure):
            publish(git_store(github), 2)
        github.faults.clear()
        store = git_store(github)
        assert (store.role("active"), store.names()) == (first, [first])


def test_a_token_that_may_not_write_is_told_which_permission_is_missing(github: FakeGitHub) -> None:
    """Nothing was written then."""
    github.world.add_token("reader", ACTIONS_BOT, contents="read")
    with pytest.raises(AccessError) as raised:
        publish(git_store(github, token="reader"))
    assert str(raised.value) == (
        "cannot write blobs in octo/demo: Resource not accessible by integration\n"
        "  likely cause: the token lacks the permission `contents: write`\n"
        "  next step: grant it under `permissions:` in the workflow, or to the App or token"
    )


def test_a_host_that_refuses_such_refs_gets_branches_for_all_of_them(
    github: FakeGitHub, demo: Repository
) -> None:
    """The staged candidate and the embeddings as well; history, races and rollback work as before."""
    demo.refused_refs = ("refs/triage/",)
    store = git_store(github)
    publish(store, 1)
    second = store.save(tiny(2))
    store.set_role("staged", second)
    promote(store)
    names = {"refs/heads/triage/active", "refs/heads/triage/embeddings"}
    assert demo.git.refs.keys() == names
    assert (store.role("active"), store.get(NAME), len(store.names())) == (second, b"vectors", 2)
    assert STAGED not in demo.git.refs


def test_what_is_too_large_for_one_request_is_sent_in_parts(
    github: FakeGitHub, demo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is whole again when read; parts that did not change are not sent again."""
    monkeypatch.setattr("triage.github.git_store.PART", 100)
    monkeypatch.setattr("triage.github.git_store.SMALL", 50)
    monkeypatch.setattr("triage.github.git_store.HEAD", 50)
    store, data = git_store(github), bytes(range(256)) * 4
    name = activate(store, tiny(1))
    store.put(NAME, data)
    kept = demo.git.files(ACTIVE)
    assert max(len(data) for path, data in kept.items() if path != "pack") == 100
    assert "vectors.npy.0001" in demo.git.files(ACTIVE)
    other = git_store(github)
    assert (other.get(NAME), other.load(name).manifest.issues) == (data, 2)
    github.requests.clear()
    activate(store, tiny(4))
    sent = sum(str(request) == "POST /repos/octo/demo/git/blobs" for request in github.requests)
    assert 0 < sent < len(demo.git.files(ACTIVE)) / 2
