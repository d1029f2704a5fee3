"""A process that publishes into a repository is killed at any moment: what is left is whole."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess

import pytest

from tests.fake_github.faults import Drop, Hook
from tests.fake_github.fixtures import BOT_TOKEN, DEMO
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.storing import ACTIVE, activate, git_store, promote, publish, tiny
from triage.bundle.store import Store
from triage.github.client import Tracker
from triage.github.git_store import KEPT, GitStore

# Children come from a process that has everything imported and no threads, so that each is there at once.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.storing", "triage.github.http"])


def child(work: Callable[[Store], None], api_url: str, graphql_url: str) -> None:
    """One run of `work` in a process of its own."""
    tracker = Tracker(DEMO, BOT_TOKEN, api_url=api_url, graphql_url=graphql_url)
    work(GitStore(tracker))


def killed_at(github: FakeGitHub, work: Callable[[Store], None], step: int) -> bool:
    """Run `work`, killed when its request number `step` comes in, which is not carried out; whether it came."""
    process: list[BaseProcess] = []
    github.faults.clear()
    github.faults.add(Hook(lambda _: process[0].kill()), skip=step)
    github.faults.add(Drop("before"), skip=step)
    process.append(CONTEXT.Process(target=child, args=(work, github.url, github.graphql_url)))
    process[0].start()
    process[0].join(60)
    github.faults.clear()
    assert process[0].exitcode in {0, -9}
    return process[0].exitcode == -9


@pytest.mark.parametrize(("before", "promoting"), [(1, False), (1, True), (KEPT, False)])
def test_a_run_killed_at_any_request_leaves_a_whole_bundle_active(
    github: FakeGitHub, demo: Repository, before: int, promoting: bool
) -> None:
    """The old one, then the new one from the moment the ref moved; running again finishes it. Pruning included."""
    store = git_store(github)
    old = [activate(store, tiny(day)) for day in range(1, before + 1)][-1]
    new = store.save(tiny(20, after=old))
    store.set_role("staged", new)
    work = promote if promoting else functools.partial(publish, after=old)
    refs, actives = dict(demo.git.refs), []
    github.requests.clear()
    work(git_store(github))
    moves = next(
        i for i, request in enumerate(github.log) if request.startswith("PATCH") and ACTIVE in request
    )
    # With ten bundles only what comes after differs: the oldest is forgotten.
    for step in range(moves if before == KEPT else 0, len(github.log)):
        demo.git.refs.clear()
        demo.git.refs.update(refs)
        assert killed_at(github, work, step)
        left = git_store(github)
        actives.append(left.role("active"))
        assert left.load(actives[-1] or "").manifest.issues == 2
        work(left)
        assert left.role("active") == new
        # A run that was killed before it could forget the oldest leaves that to the next one.
        assert min(before + 1, KEPT) <= len(left.names()) <= before + 1
    assert set(actives) == {old, new}
    assert actives == sorted(actives, key=[old, new].index)
