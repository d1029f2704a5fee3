"""`triage bundle`: look at the bundles of a store, and choose the active one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from triage import config as configuration
from triage.bundle.open import candidates
from triage.bundle.store import StoreName, activate_or_stage, refuse_exposure, role_name
from triage.errors import BundleError
from triage.github.open import add_config_options, connect, open_store, visibility_of

if TYPE_CHECKING:
    from triage.bundle.store import Store


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, act, help_line in (
        ("list", _list, "list the bundles, newest first"),
        ("show", _show, "print a bundle's manifest and rules"),
        ("verify", _verify, "check every file of every bundle"),
        ("promote", _promote, "make the staged bundle, or the one named, active"),
        ("rollback", _rollback, "make the bundle before the active one active again"),
        ("publish", _publish, "copy what another store holds as active or staged into this one"),
    ):
        action = actions.add_parser(name, help=help_line, description=help_line.capitalize() + ".")
        action.add_argument("--store", required=True, help="a directory, or github:OWNER/NAME")
        add_config_options(action)
        action.set_defaults(act=act)
        if name in {"show", "promote"}:
            action.add_argument("name", nargs="?", help="a bundle's name")
        if name == "publish":
            action.add_argument("--of", required=True, help="the store to copy from")


def run(args: argparse.Namespace) -> int:
    """Carry out the action that was chosen; raises TriageError."""
    code: int = args.act(args)
    return code


def _open(args: argparse.Namespace, spec: str) -> Store:
    """The store, with the publishers that the configuration names."""
    name = StoreName.parse(spec)
    if name.repo and not args.config:
        tracker, config = connect(name.repo, args)
        return open_store(name, config, tracker)
    return open_store(name, configuration.load(args.config))


def _list(args: argparse.Namespace) -> int:
    store = _open(args, args.store)
    roles = {role_name(store, role): role for role in ("staged", "active")}
    for name in store.names():
        print(f"{name}  {roles.get(name, '')}".rstrip())
    return 0


def _show(args: argparse.Namespace) -> int:
    store = _open(args, args.store)
    name = args.name or store.role("active")
    if name is None:
        raise BundleError(
            f"{args.store} has no active bundle",
            likely="nothing was learnt yet",
            next_step="run `triage retrain`",
        )
    bundle = store.load(name)
    shown = {"name": name, "manifest": asdict(bundle.manifest), "rules": asdict(bundle.rules)}
    print(json.dumps(shown, ensure_ascii=False, indent=2))
    return 0


def _verify(args: argparse.Namespace) -> int:
    store = _open(args, args.store)
    failures: list[BundleError] = []
    for name in store.names():
        try:
            store.load(name).verify()
            print(f"✓ {name}")
        except BundleError as error:
            failures.append(error)
            print(f"✗ {name}: {error.what}")
    if failures:
        raise BundleError(f"{len(failures)} of {len(store.names())} bundles are damaged")
    return 0


def _promote(args: argparse.Namespace) -> int:
    store = _open(args, args.store)
    name = args.name or store.role("staged")
    if name is None:
        raise BundleError(
            f"{args.store} has no staged bundle",
            likely="the last candidate passed the gate",
            next_step="name a bundle; `triage bundle list` shows them",
        )
    store.load(name).verify()
    store.set_role("active", name)
    if store.role("staged") == name:
        store.set_role("staged", None)
    print(f"{name} is active")
    return 0


def _rollback(args: argparse.Namespace) -> int:
    store = _open(args, args.store)
    for name in _before_the_active(store):
        try:
            store.load(name).verify()
        except BundleError as error:
            print(f"passed over {name}: {error.what}")
            continue
        store.set_role("active", name)
        print(f"{name} is active")
        return 0
    raise BundleError(
        f"{args.store} has no usable bundle before the active one",
        likely="it was pruned, or there was none",
        next_step="run `triage retrain`",
    )


def _before_the_active(store: Store) -> Sequence[str]:
    """Newest first; everything that is not staged where what is active is no bundle."""
    try:
        active = store.role("active")
    except BundleError:
        return candidates(store, None)
    return candidates(store, active)[1:] if active else ()


def _publish(args: argparse.Namespace) -> int:
    from triage.learn.vectors import NAME

    there, here = _open(args, args.of), _open(args, args.store)
    done = False
    for role in ("active", "staged"):
        name = there.role(role)
        if name is None or name == role_name(here, role):
            continue
        bundle = there.load(name)
        bundle.verify()
        refuse_exposure(here, filter(None, bundle.manifest.sources), visibility_of)
        made = here.save(bundle)
        activate_or_stage(here, made, bundle, role)
        print(f"{made} is {role}")
        done = True
    held = there.get(NAME)
    if held is not None and held != here.get(NAME):
        here.put(NAME, held)
    if not done:
        print("nothing new to publish")
    return 0
