"""Giving a bundle its role: to nobody who may not see it, and never over another run's work."""

from __future__ import annotations

from collections.abc import Iterable

from triage.bundle.bundle import Bundle
from triage.bundle.store import Store
from triage.commands.github import open_tracker
from triage.commands.opening import GITHUB
from triage.errors import BundleError

# From the most visible to the least.
VISIBILITY = ("public", "internal", "private")


def active_name(store: Store) -> str:
    """The name of the active bundle; empty where there is none, or none that can be told."""
    try:
        return store.named("active") or ""
    except BundleError:
        return ""


def hand_over(store: Store, name: str, bundle: Bundle, role: str, *, beside: Store | None = None) -> None:
    """Give a saved bundle its role.

    One that was compared with another bundle than the one that is active by now (in `beside`, where that is
    another store) is only staged. Raises LostRace then, BundleError as the store does.
    """
    from triage.world.refusals import LostRace

    if role != "active":
        store.appoint(role, name)
        return
    now = active_name(beside or store)
    try:
        if now not in (bundle.manifest.after, name):
            raise LostRace(f"{now} became active while {name} was learnt, which was not compared with it")
        store.appoint("active", name)
    except LostRace:
        store.appoint("staged", name)
        raise


def refuse_exposure(store: str, repos: Iterable[str]) -> None:
    """Raise BundleError where the store is a repository that more people see than one that is learnt from."""
    if not store.startswith(GITHUB):
        return
    home = store.removeprefix(GITHUB)
    here = _visibility(home)
    for repo in sorted(set(repos) - {home}):
        there = _visibility(repo)
        if VISIBILITY.index(there) > VISIBILITY.index(here):
            raise BundleError(
                f"the issues of {repo} are {there}, and the store {home} is {here}",
                likely="a bundle tells numbers and labels of issues to everybody who sees its store",
                next_step="choose a store that no more people see, such as the repository itself",
            )


def _visibility(repo: str) -> str:
    return open_tracker(repo).repository.visibility
