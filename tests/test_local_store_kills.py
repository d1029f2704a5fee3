"""A process that publishes into a local store is killed at any moment: what is left is whole."""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.storing import activate, promote, publish, tiny
from triage.bundle.local_store import LocalStore
from triage.bundle.store import KEPT, Store

# Children come from a process that has everything imported, so that each is there at once.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.storing"])
GOING = {"os.remove", "os.rmdir"}
CHANGES = {"os.rename", "os.mkdir", "os.chmod", *GOING}


def child(work: Callable[[Store], None], folder: Path, step: int) -> None:
    """One run of `work` that is killed when it is about to change a file for the time number `step`."""
    steps = itertools.count()

    def watch(event: str, args: tuple[object, ...]) -> None:
        if event == "open":
            change = isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        else:
            change = event in CHANGES
        # A tree is taken away by names relative to an open folder.
        ours = str(args[0]).startswith(str(folder)) or (event in GOING and args[1] != -1)
        if change and ours and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    work(LocalStore(folder))


def killed_at(folder: Path, work: Callable[[Store], None], step: int) -> bool:
    """Whether the run came so far that it was killed."""
    process = CONTEXT.Process(target=child, args=(work, folder, step))
    process.start()
    process.join(60)
    assert process.exitcode in {0, -signal.SIGKILL}
    return process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("before", "promoting", "steps"),
    [(1, False, 10), (1, True, 3), (KEPT, False, 16)],
    ids=["publishing", "promoting", "pruning"],
)
def test_a_run_killed_at_any_change_of_a_file_leaves_a_whole_bundle_active(
    tmp_path: Path, before: int, promoting: bool, steps: int
) -> None:
    """The old one, then the new one from the moment the role's file is renamed; running again finishes it."""
    store = LocalStore(tmp_path / "before")
    old = [activate(store, tiny(day)) for day in range(1, before + 1)][-1]
    new = LocalStore(tmp_path / "name").save(tiny(20, after=old))
    if promoting:
        store.set_role("staged", store.save(tiny(20, after=old)))
    work = promote if promoting else functools.partial(publish, after=old)
    actives = []
    for step in itertools.count():
        folder = shutil.copytree(store.folder, tmp_path / str(step))
        killed = killed_at(folder, work, step)
        left = LocalStore(folder)
        actives.append(left.role("active"))
        assert left.load(actives[-1] or "").manifest.issues == 2
        work(left)
        assert (left.role("active"), left.role("staged")) == (new, None)
        assert all(left.load(name) for name in left.names())
        assert len(left.names()) == min(before + 1, KEPT)
        if not killed:
            break
    assert len(actives) > steps
    assert set(actives) == {old, new}
    assert actives == sorted(actives, key=[old, new].index)


def test_what_killed_runs_left_is_cleared_away_once_it_is_a_day_old(tmp_path: Path) -> None:
    """Not sooner: it may be another run's work."""
    store = LocalStore(tmp_path)
    home = tmp_path / "bundles"
    activate(store, tiny(1))
    for name in (".partial-old", ".partial-new", "20250101T000000Z-0123456789"):
        (home / name).mkdir()
        (home / name / "vectors.npy").write_bytes(b"half")
    for name in (".partial-old", "20250101T000000Z-0123456789"):
        os.utime(home / name, (0, 0))
    second = activate(store, tiny(2))
    assert {path.name for path in home.iterdir()} == {".partial-new", second, *store.names()}
    assert len(store.names()) == 2
