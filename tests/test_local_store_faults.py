"""Roles and kept files of a local store under a full disk and kill -9; saving: see test_bundle_store_failures."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.storing import activate, tiny
from triage.bundle.local_store import LocalStore
from triage.bundle.store import KEPT, activate_or_stage
from triage.cli import main
from triage.errors import BundleError, LostRace
from triage.learn.vectors import NAME

# Appoints argv[2] active, or keeps embeddings where that is empty; is killed at the event argv[3] on a path that
# ends in argv[4], or meets a limit on the size of files.
PROGRAM = """
import os, pathlib, resource, signal, sys
from triage.bundle.local_store import LocalStore
folder, name, when, where = sys.argv[1:]
def die(event, args):
    if event == when and str(args[1 if event == "os.rename" else 0]).rstrip("0123456789-").endswith(where):
        os.kill(os.getpid(), signal.SIGKILL)
if when == "full":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(where), int(where)))
else:
    sys.addaudithook(die)
store = LocalStore(pathlib.Path(folder))
store.set_role("active", name) if name else store.put("embeddings", b"v" * 100_000)
"""


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """Two bundles, the older one active, and embeddings."""
    found = LocalStore(tmp_path)
    first = activate(found, tiny(1))
    activate(found, tiny(2))
    found.set_role("active", first)
    found.put(NAME, b"old")
    return found


def run(store: LocalStore, name: str, when: str, where: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", PROGRAM, str(store.folder), name, when, where]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("when", "where"), [("open", ".active"), ("os.rename", "/active")])
def test_a_killed_appointment_leaves_the_old_one(store: LocalStore, when: str, where: str) -> None:
    """While the draft is written, and before it takes the place of the role's file."""
    second, first = store.names()
    assert run(store, second, when, where).returncode == -9
    assert (store.role("active"), store.load(first).manifest.issues) == (first, 2)
    assert run(store, second, "never", "").returncode == 0
    assert store.role("active") == second


def test_a_killed_pruning_leaves_the_new_one(store: LocalStore) -> None:
    """The role is given first; what was half deleted is no bundle any more, and the next one to go."""
    for day in range(3, KEPT + 1):
        activate(store, tiny(day))
    last = store.save(tiny(KEPT + 1))
    oldest = store.folder / "bundles" / store.names()[-1]
    assert run(store, last, "os.remove", "vectors.npy").returncode == -9
    assert store.role("active") == last
    assert store.load(last).manifest.issues == 2
    assert oldest.exists()
    activate(store, tiny(KEPT + 2))
    assert len(store.names()) <= KEPT
    assert all(store.load(name) for name in store.names())


def test_a_full_disk_keeps_what_was_kept(store: LocalStore) -> None:
    """Embeddings that do not fit leave the old ones, and no draft."""
    before = sorted(store.folder.rglob("*"))
    done = run(store, "", "full", "50000")
    assert f"{store.folder / NAME}: cannot be written (File too large)" in done.stderr
    assert "next step: free some space or choose another --store; the store is unchanged" in done.stderr
    assert (store.get(NAME), sorted(store.folder.rglob("*"))) == (b"old", before)


def test_a_full_disk_keeps_the_role(store: LocalStore) -> None:
    """Not even the few letters of a name fit."""
    second, first = store.names()
    done = run(store, second, "full", "0")
    assert f"{store.folder / 'active'}: cannot be written (File too large)" in done.stderr
    assert store.role("active") == first


def test_publishing_a_damaged_bundle_changes_nothing(store: LocalStore, tmp_path: Path) -> None:
    """A folder that was cut short on its way between two jobs."""
    there = LocalStore(tmp_path / "handed over")
    name = activate(there, tiny(3, after=store.role("active") or ""))
    path = there.folder / "bundles" / name / "rows.npy"
    path.write_bytes(path.read_bytes()[:-8])
    before = store.role("active"), store.names()
    argv = ["bundle", "publish", f"--of={there.folder}", f"--store={store.folder}"]
    assert main(argv) == 7
    assert (store.role("active"), store.names()) == before


def test_nobody_else_appoints_between_the_comparison_and_the_appointment(tmp_path: Path) -> None:
    """A run that hands over waits for one that is at it, and then sees what that one made active."""
    home = LocalStore(tmp_path)
    first = activate(home, tiny(1))
    mine, theirs = (home.save(tiny(day, after=first)) for day in (2, 3))
    races: list[str] = []

    def hand() -> None:
        try:
            activate_or_stage(LocalStore(tmp_path), mine, tiny(2, after=first), "active")
        except LostRace as race:
            races.append(race.what)

    other = threading.Thread(target=hand)
    with home.lock():
        other.start()
        other.join(0.3)
        assert home.role("active") == first
        home.set_role("active", theirs)
    other.join()
    assert races == [f"{theirs} became active while {mine} was learnt, so the two were not compared"]
    assert (home.role("active"), home.role("staged")) == (theirs, mine)


def test_a_store_that_cannot_be_locked_is_said(tmp_path: Path) -> None:
    """Here a folder stands in the lock's place."""
    home = LocalStore(tmp_path)
    name = home.save(tiny(1))
    (tmp_path / ".lock").mkdir()
    with pytest.raises(BundleError) as failure:
        activate_or_stage(home, name, tiny(1), "active")
    assert failure.value.what == f"{tmp_path}: roles cannot be changed (Is a directory)"
    assert home.role("active") is None
