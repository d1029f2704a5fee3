"""A store in a local folder.

    DIR/bundles/NAME/…   one folder a bundle, complete or not there
    DIR/active           the name of the bundle in use
    DIR/staged           the name of a candidate that did not become active
    DIR/embeddings       vectors of texts embedded before, for retraining alone
    DIR/.lock            held while roles are compared and changed

Every change is one rename, so a killed process leaves the store either unchanged or fully changed.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path

from triage.arrays import Data
from triage.bundle.bundle import (
    MANIFEST,
    MAX_BYTES,
    MAX_JSON,
    Bundle,
    BundleManifest,
    from_files,
    name_of,
    read_manifest,
    to_files,
)
from triage.bundle.ivf_files import MAPPED
from triage.bundle.store import KEPT, NAME, ROLES, VISIBILITY, StoreName
from triage.errors import BundleError
from triage.files import lock, new_folder, read, write
from triage.issue import RepositoryIds

# A bundle is written within seconds; one that is still incomplete after this many was left by a killed run.
LEFT_BEHIND = 86_400.0
# Bytes from which mapping a file costs less than reading it.
LARGE = 1 << 20


class LocalStore:
    """A store in a local folder, created by the first save."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, StoreName(folder)

    def visibility(self) -> str:
        return VISIBILITY[-1]

    def names(self) -> list[str]:
        folders = (path.parent.name for path in (self.folder / "bundles").glob(f"*/{MANIFEST}"))
        return sorted(filter(NAME.fullmatch, folders), reverse=True)

    def role(self, role: str) -> str | None:
        data = self.get(role)
        if data is None:
            return None
        name = data.decode("utf-8", "replace").strip()
        if not NAME.fullmatch(name):
            raise BundleError(f"{self.folder / role}: holds no bundle name")
        return name

    def load(self, name: str, repo: RepositoryIds | None = None) -> Bundle:  # noqa: ARG002 - only what is searched is read
        folder = self.folder / "bundles" / name
        if not NAME.fullmatch(name) or not folder.is_dir():
            raise self._unknown(name)
        try:
            files = _files(folder)
        except OSError as error:
            raise BundleError(f"{folder}: cannot be read ({error.strerror or error})") from None
        bundle = from_files(files, where=str(folder))
        if name_of(bytes(files[MANIFEST]), bundle.manifest.created_at) != name:
            raise BundleError(f"{folder}: {MANIFEST} was changed: its hash is not the one in the name")
        return bundle

    def manifest(self, name: str) -> BundleManifest:
        folder = self.folder / "bundles" / name
        try:
            return read_manifest(read(folder / MANIFEST, MAX_JSON), where=str(folder))
        except OSError as error:
            raise BundleError(f"{folder}: cannot be read ({error.strerror or error})") from None

    def save(self, bundle: Bundle) -> str:
        files = to_files(bundle)
        name = name_of(files[MANIFEST], bundle.manifest.created_at)
        home = self.folder / "bundles"
        if (home / name).is_dir():
            return name
        with _writing(f"{self.folder}: the bundle cannot be saved"), new_folder(home / name) as folder:
            for file, data in files.items():
                (folder / file).write_bytes(data)
        return name

    def set_role(self, role: str, name: str | None) -> None:
        if role not in ROLES:
            raise ValueError(role)
        if name is None:
            (self.folder / role).unlink(missing_ok=True)
            return
        if not (self.folder / "bundles" / name).is_dir():
            raise self._unknown(name)
        self.put(role, f"{name}\n".encode())
        if role == "active":
            self._prune()

    @contextmanager
    def lock(self) -> Iterator[None]:
        with _writing(f"{self.folder}: roles cannot be changed"):
            file = (self.folder / ".lock").open("wb")
        with file:
            lock(file)
            yield

    def put(self, title: str, data: bytes) -> None:
        path = self.folder / title
        with _writing(f"{path}: cannot be written"):
            write(path, data)

    def get(self, title: str) -> bytes | None:
        try:
            return read(self.folder / title, MAX_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BundleError(f"{self.folder / title}: cannot be read ({error.strerror})") from None

    def _unknown(self, name: str) -> BundleError:
        return BundleError(
            f"{self.folder}: there is no bundle {name!r}",
            likely="it was pruned, or the name is mistyped",
            next_step=f"run `triage bundle list --store {self.folder}`",
        )

    def _prune(self) -> None:
        """Delete the oldest bundles beyond KEPT, except those with a role, and the remains of killed runs."""
        home, spared = self.folder / "bundles", {self.role(role) for role in ROLES}
        for name in self.names()[KEPT:]:
            if name not in spared:
                shutil.rmtree(home / name, ignore_errors=True)
        for folder in home.iterdir():
            if not (folder / MANIFEST).exists() and time.time() - folder.stat().st_mtime > LEFT_BEHIND:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _writing(what_failed: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BundleError(
            f"{what_failed} ({error.strerror})",
            likely="the disk is full or the folder is not writable",
            next_step="free some space or choose another --store; the store is unchanged",
        ) from None


def _files(folder: Path) -> dict[str, Data]:
    """The manifest, and the files that it names. Raises OSError, BundleError for a manifest that cannot be read."""
    files: dict[str, Data] = {MANIFEST: read(folder / MANIFEST, MAX_JSON)}
    named = read_manifest(bytes(files[MANIFEST]), where=str(folder)).files
    paths = [folder / name for name in named if (folder / name).is_file()]
    if (size := sum(path.stat().st_size for path in paths)) > MAX_BYTES:
        raise BundleError(f"{folder}: larger than a bundle can be ({size:,} bytes)")
    return files | {path.name: _content(path) for path in paths}


def _content(path: Path) -> Data:
    """The content of a file. Large files are mapped, which copies nothing, and reads only what an index searches."""
    size = path.stat().st_size
    if size < LARGE and (path.name not in MAPPED or not size):
        return read(path, MAX_BYTES)
    with path.open("rb") as file:
        return mmap(file.fileno(), 0, access=ACCESS_READ)
