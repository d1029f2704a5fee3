"""Where bundles live. Here: a local directory.

    DIR/bundles/NAME/…   one folder a bundle, complete or not there
    DIR/active           the name of the bundle in use
    DIR/staged           the name of a candidate that did not become active
    DIR/embeddings       vectors of texts embedded before, for retraining alone
    DIR/.lock            held while roles are compared and changed

Every change is one rename, so a killed process leaves the store as it was or as it was meant to be.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Protocol

from triage.arrays import Data
from triage.bundle.bundle import Bundle
from triage.bundle.files import MANIFEST, from_files, name_of, to_files
from triage.bundle.ivf_files import MAPPED
from triage.errors import BundleError, LostRace

# What a store calls its bundles.
NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{10}")
ROLES = ("active", "staged")
# How many bundles a store keeps, the active one included.
KEPT = 10
# A bundle is written within seconds; what is half there after this many is no other run's work any more.
LEFT_BEHIND = 86_400.0


PREFIX = "github:"
# From the most visible to the least.
VISIBILITY = ("public", "internal", "private")
WORK_FOLDER = Path(".triage-work")


@dataclass(frozen=True)
class StoreName:
    """Where a store is: a local folder, or git refs of a repository on GitHub (`repo`, else empty)."""

    folder: Path = Path()
    repo: str = ""

    @classmethod
    def parse(cls, text: str) -> StoreName:
        """The store that "FOLDER" or "github:OWNER/NAME" names."""
        if text.startswith(PREFIX):
            return cls(repo=text.removeprefix(PREFIX))
        return cls(Path(text))

    def __str__(self) -> str:
        return f"{PREFIX}{self.repo}" if self.repo else str(self.folder)

    @property
    def work_folder(self) -> Path:
        """The local folder for the checkpoints of long work on a bundle."""
        return WORK_FOLDER if self.repo else self.folder


class Store(Protocol):
    """A home of bundles. `role` is "active" or "staged"."""

    name: StoreName

    def visibility(self) -> str:
        """Who can read the store, one of VISIBILITY. Raises NotFound where a token cannot see the repository."""
        ...

    def names(self) -> list[str]:
        """All bundles, newest first."""
        ...

    def role(self, role: str) -> str | None:
        """The bundle in that role, if any."""
        ...

    def load(self, name: str, repo: str = "") -> Bundle:
        """Raises BundleError where it is missing, damaged or foreign.

        With `repo`, what no issue of that repository is compared with need not be in it: to be searched, not saved.
        """
        ...

    def save(self, bundle: Bundle) -> str:
        """Keep the bundle whole or not at all; returns its name."""
        ...

    def set_role(self, role: str, name: str | None) -> None:
        """Give the role to a bundle (None: to no one), at one stroke."""
        ...

    def lock(self) -> AbstractContextManager[None]:
        """While it is held, roles change by nobody else's hand, or their change is refused. Raises BundleError."""
        ...

    def put(self, title: str, data: bytes) -> None:
        """Keep a file beside the bundles, in place of the one of that title."""
        ...

    def get(self, title: str) -> bytes | None:
        """The file of that title, if there is one."""
        ...


class LocalStore:
    """A store in a local directory, made when first saved to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, StoreName(folder)

    def visibility(self) -> str:
        return VISIBILITY[-1]

    def names(self) -> list[str]:
        found = (self.folder / "bundles").glob(f"*/{MANIFEST}")
        return sorted((path.parent.name for path in found if NAME.fullmatch(path.parent.name)), reverse=True)

    def role(self, role: str) -> str | None:
        try:
            name = (self.folder / role).read_text("utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(f"{self.folder / role}: cannot be read ({error})") from None
        if not NAME.fullmatch(name):
            raise BundleError(f"{self.folder / role}: holds no bundle name")
        return name

    def load(self, name: str, repo: str = "") -> Bundle:  # noqa: ARG002 - no more is read than is searched
        folder = self.folder / "bundles" / name
        if not NAME.fullmatch(name) or not folder.is_dir():
            raise BundleError(f"{self.folder}: there is no bundle {name!r}")
        try:
            files = {path.name: _read(path) for path in folder.iterdir() if path.is_file()}
        except OSError as error:
            raise BundleError(f"{folder}: cannot be read ({error})") from None
        bundle = from_files(files, where=str(folder))
        if name_of(bytes(files[MANIFEST]), bundle.manifest.created_at) != name:
            raise BundleError(f"{folder}: {MANIFEST} was changed: its hash is not the one in the name")
        return bundle

    def save(self, bundle: Bundle) -> str:
        files = to_files(bundle)
        name = name_of(files[MANIFEST], bundle.manifest.created_at)
        home = self.folder / "bundles"
        if (home / name).is_dir():
            return name
        try:
            home.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=home))
            try:
                for file, data in files.items():
                    _write(partial / file, data)
                # What one job of a workflow leaves, another user's step picks up.
                partial.chmod(0o755)
                _sync(partial)
                partial.rename(home / name)
            except OSError:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            _sync(home)
        except OSError as error:
            raise BundleError(
                f"{self.folder}: the bundle cannot be saved ({error.strerror})",
                likely="the disk is full or the folder is not writable",
                next_step="make room or choose another --store; the bundles there are as they were",
            ) from None
        return name

    def set_role(self, role: str, name: str | None) -> None:
        if role not in ROLES:
            raise ValueError(role)
        if name is None:
            (self.folder / role).unlink(missing_ok=True)
            return
        if not (self.folder / "bundles" / name).is_dir():
            raise BundleError(f"{self.folder}: there is no bundle {name!r}")
        self.put(role, f"{name}\n".encode())
        if role == "active":
            self._prune()

    @contextmanager
    def lock(self) -> Iterator[None]:
        try:
            lock = (self.folder / ".lock").open("w")
        except OSError as error:
            raise BundleError(
                f"{self.folder}: roles cannot be changed ({error.strerror})",
                likely="the folder is not writable",
                next_step="choose another --store; the store is as it was",
            ) from None
        with lock:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
            yield

    def put(self, title: str, data: bytes) -> None:
        path = self.folder / title
        draft = path.with_name(f".{title}-{os.getpid()}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(draft, data)
            draft.replace(path)
            _sync(self.folder)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise BundleError(
                f"{path}: cannot be written ({error.strerror})",
                likely="the disk is full or the folder is not writable",
                next_step="make room or choose another --store; the store is as it was",
            ) from None

    def get(self, title: str) -> bytes | None:
        try:
            return (self.folder / title).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BundleError(f"{self.folder / title}: cannot be read ({error.strerror})") from None

    def _prune(self) -> None:
        """Delete the oldest bundles beyond KEPT, never one with a role; and what killed runs left."""
        home, spared = self.folder / "bundles", {self.role(role) for role in ROLES}
        for name in self.names()[KEPT:]:
            if name not in spared:
                shutil.rmtree(home / name, ignore_errors=True)
        for folder in home.iterdir():
            if not (folder / MANIFEST).exists() and time.time() - folder.stat().st_mtime > LEFT_BEHIND:
                shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> Data:
    """The file; most of a large index is mapped, so that no more of it is read than is searched."""
    if path.name not in MAPPED or not path.stat().st_size:
        return path.read_bytes()
    with path.open("rb") as file:
        return mmap(file.fileno(), 0, access=ACCESS_READ)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def role_name(store: Store, role: str) -> str:
    """The name of the bundle in that role; empty where there is none, or what holds the role is no bundle."""
    try:
        return store.role(role) or ""
    except BundleError:
        return ""


def activate_or_stage(
    store: Store, name: str, bundle: Bundle, role: str, *, against: Store | None = None
) -> None:
    """Give a saved bundle its role; one learnt against a bundle that is no longer active is only staged.

    `against` is the store whose active bundle it was compared with, by default `store`. Raises LostRace where it was
    only staged, and BundleError as the store does.
    """
    if role != "active":
        store.set_role(role, name)
        return
    try:
        with store.lock():
            now = role_name(against or store, "active")
            if now not in (bundle.manifest.after, name):
                raise LostRace(f"{now} became active while {name} was learnt, which was not compared with it")
            store.set_role("active", name)
    except LostRace:
        store.set_role("staged", name)
        raise


def refuse_exposure(store: Store, repos: Iterable[str], visibility_of: Callable[[str], str]) -> None:
    """Raise BundleError where more people can read the store than one of the repositories learnt from."""
    here = store.visibility()
    for repo in sorted(set(repos) - {store.name.repo}) if here != VISIBILITY[-1] else ():
        there = visibility_of(repo)
        if VISIBILITY.index(there) > VISIBILITY.index(here):
            raise BundleError(
                f"the issues of {repo} are {there}, and the store {store.name.repo} is {here}",
                likely="a bundle tells numbers and labels of issues to everybody who sees its store",
                next_step="choose a store that no more people see, such as the repository itself",
            )
