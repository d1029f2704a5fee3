"""Giving a bundle its role: to nobody who may not see it, and never over another run's work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from triage.bundle.open import GITHUB, named_in
from triage.errors import BundleError
from triage.github.open import open_tracker

if TYPE_CHECKING:
    from triage.bundle.bundle import Bundle
    from triage.bundle.store import Store

# From the most visible to the least.
VISIBILITY = ("public", "internal", "private")


def activate_or_stage(
    store: Store, name: str, bundle: Bundle, role: str, *, beside: Store | None = None
) -> None:
    """Give a saved bundle its role.

    One that was compared with another bundle than the one that is active by now (in `beside`, where that is
    another store) is only staged. Raises LostRace then, BundleError as the store does.
    """
    from triage.github.errors import LostRace

    if role != "active":
        store.appoint(role, name)
        return
    try:
        with store.alone():
            now = named_in(beside or store, "active")
            if now not in (bundle.manifest.after, name):
                raise LostRace(f"{now} became active while {name} was learnt, which was not compared with it")
            store.appoint("active", name)
    except LostRace:
        store.appoint("staged", name)
        raise


def refuse_exposure(store: str, repos: Iterable[str], known: Mapping[str, str] | None = None) -> None:
    """Raise BundleError where the store is a repository that more people see than one that is learnt from.

    `known` tells how visible a repository is where that was asked already.
    """
    if not store.startswith(GITHUB):
        return
    home = store.removeprefix(GITHUB)
    here = _visibility(home)
    for repo in sorted(set(repos) - {home}) if here != VISIBILITY[-1] else ():
        there = (known or {}).get(repo) or _visibility(repo)
        if VISIBILITY.index(there) > VISIBILITY.index(here):
            raise BundleError(
                f"the issues of {repo} are {there}, and the store {home} is {here}",
                likely="a bundle tells numbers and labels of issues to everybody who sees its store",
                next_step="choose a store that no more people see, such as the repository itself",
            )


def _visibility(repo: str) -> str:
    """Raises NotFound where the token does not see the repository: it may well be private."""
    return open_tracker(repo).repository.visibility
