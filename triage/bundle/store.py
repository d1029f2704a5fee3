"""Stores of bundles: their names, their protocol, and the rules for roles and for who may read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from triage.errors import BundleError, LostRace
from triage.issue import RepositoryIds, fold

if TYPE_CHECKING:
    from triage.bundle.bundle import Bundle, BundleManifest

NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{10}")
ROLES = ("active", "staged")
# A store keeps this many bundles, the active one included.
KEPT = 10
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
    def is_missing(self) -> bool:
        """Whether it is a folder that does not exist."""
        return not self.repo and not self.folder.is_dir()

    @property
    def work_folder(self) -> Path:
        """The local folder for the checkpoints of long work on a bundle."""
        return WORK_FOLDER if self.repo else self.folder


class Store(Protocol):
    """A home of bundles. `role` is "active" or "staged"."""

    name: StoreName

    def visibility(self) -> str:
        """Who can read the store: one of VISIBILITY. Raises NotFound where the token cannot see the repository."""

    def names(self) -> list[str]:
        """All bundles, newest first."""

    def role(self, role: str) -> str | None:
        """The bundle in that role, if any."""

    def load(self, name: str, repo: RepositoryIds | None = None) -> Bundle:
        """The bundle, or with `repo` a part of it that suffices to search the neighbours of that repository's issues.

        Raises BundleError where it is missing, damaged or not trusted.
        """

    def manifest(self, name: str) -> BundleManifest:
        """The manifest of a bundle, without its other files. Raises BundleError as `load` does."""

    def save(self, bundle: Bundle) -> str:
        """Save the bundle, whole or not at all, and return its name."""

    def set_role(self, role: str, name: str | None) -> None:
        """Give the role to a bundle, or with None take it away, in one step."""

    def lock(self) -> AbstractContextManager[None]:
        """While it is held, no other run changes roles, or its change is refused. Raises BundleError."""

    def put(self, title: str, data: bytes) -> None:
        """Save a file next to the bundles; it replaces the one of that title."""

    def get(self, title: str) -> bytes | None:
        """The file of that title, or None."""


def role_name(store: Store, role: str) -> str:
    """The name of the bundle in that role; empty without one, and where the role is damaged."""
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
                raise LostRace(f"{now} became active while {name} was learnt, so the two were not compared")
            store.set_role("active", name)
    except LostRace:
        store.set_role("staged", name)
        raise


def refuse_exposure(store: Store, repos: Iterable[str], visibility_of: Callable[[str], str]) -> None:
    """Raise BundleError where more people can read the store than one of the repositories learnt from."""
    here = store.visibility()
    others = (repo for repo in sorted(set(repos)) if fold(repo) != fold(store.name.repo))
    for repo in others if here != VISIBILITY[-1] else ():
        there = visibility_of(repo)
        if VISIBILITY.index(there) > VISIBILITY.index(here):
            raise BundleError(
                f"the issues of {repo} are {there}, and the store {store.name.repo} is {here}",
                likely="everybody who can read a store can read the numbers and labels of issues in its bundles",
                next_step="choose a store that no more people can read, such as the repository itself",
            )
