"""A store that is interrupted, full or not writable stays as it was."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sample import Trained
from triage.bundle.bundle import Bundle
from triage.bundle.local_store import LocalStore
from triage.errors import BundleError

# Saves the active bundle once more under another date and is killed, at the call that `argv[2]` names.
KILLED = """
import dataclasses, os, pathlib, signal, sys
from triage.bundle.local_store import LocalStore
store, when = LocalStore(pathlib.Path(sys.argv[1])), sys.argv[2]
bundle = store.load(store.role("active"))
later = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, created_at="2099-01-01T00:00:00Z"))
def die(event, args):
    if event == when and ".partial-" in str(args[0]) or event == "os.rename" and when == str(args[1])[-6:]:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(die)
store.set_role("active", store.save(later))
"""


@pytest.mark.parametrize(("when", "bundles"), [("open", 1), ("os.rename", 1), ("active", 2)])
def test_a_killed_save_leaves_the_active_bundle(own_store: Trained, when: str, bundles: int) -> None:
    """Killed while it writes, before the bundle is there or before it becomes active: the old one stays in use."""
    before = own_store.name
    done = subprocess.run([sys.executable, "-c", KILLED, str(own_store.folder), when], check=False)
    assert done.returncode == -9
    assert own_store.name == before
    assert len(own_store.store.names()) == bundles
    assert own_store.store.load(before).manifest.issues == 161


def test_a_save_that_is_not_killed_becomes_active(own_store: Trained) -> None:
    """The same program left alone makes the new bundle the active one and keeps the old."""
    before = own_store.name
    subprocess.run([sys.executable, "-c", KILLED, str(own_store.folder), "never"], check=True)
    assert own_store.name.startswith("20990101T000000Z-")
    assert own_store.store.names() == [own_store.name, before]


def test_a_disk_error_is_told_and_leaves_nothing_behind(bundle: Bundle, tmp_path: Path) -> None:
    """Where the store cannot be written the error says so, and no half bundle stays."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BundleError) as refused:
        LocalStore(tmp_path / "file").save(bundle)
    assert str(refused.value).split("\n") == [
        f"{tmp_path / 'file'}: the bundle cannot be saved (Not a directory)",
        "  likely cause: the disk is full or the folder is not writable",
        "  next step: free some space or choose another --store; the store is unchanged",
    ]


def test_a_full_disk_leaves_no_half_bundle(own_store: Trained) -> None:
    """With no room for a file as large as the vectors, saving fails, and the store is as it was."""
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n" + KILLED
    )
    before = sorted(own_store.folder.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", code, str(own_store.folder), "never"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{own_store.folder}: the bundle cannot be saved (File too large)" in done.stderr
    assert sorted(own_store.folder.rglob("*")) == before


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Root may write anywhere, so root gives its rights up for a while."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


def test_a_read_only_store_is_told(bundle: Bundle) -> None:
    """In a folder without write permission the save fails in words, and nothing is left behind."""
    # Not under `tmp_path`, whose parents are closed to everybody else.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bundles").mkdir()
        for path in (folder / "bundles", folder):
            path.chmod(0o555)
        with nobody(), pytest.raises(BundleError, match="cannot be saved \\(Permission denied\\)"):
            LocalStore(folder).save(bundle)
        assert list((folder / "bundles").iterdir()) == []
        folder.chmod(0o700)


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    """A folder that does not exist holds no bundle and no role; giving one there fails in words."""
    store = LocalStore(tmp_path / "none")
    assert (store.names(), store.role("active"), store.role("staged")) == ([], None, None)
    with pytest.raises(BundleError) as refused:
        store.set_role("active", "20240101T000000Z-0123456789")
    assert refused.value.what == f"{tmp_path / 'none'}: there is no bundle '20240101T000000Z-0123456789'"
