"""`triage bundle`: look at the bundles of a store, and choose the active one."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from triage import config as configuration
from triage.bundle.open import older, own_encoder
from triage.bundle.store import activate_or_stage, refuse_exposure, role_name
from triage.cli import arguments
from triage.console import log, log_json, status
from triage.errors import BundleError
from triage.github.open import open_repository, open_store, visibility_of
from triage.options import BundleOptions

if TYPE_CHECKING:
    from triage.bundle.bundle import Bundle
    from triage.bundle.store import Store, StoreName
    from triage.reports.bundle_report import BundleLine


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (_, help_line) in ACTIONS.items():
        action = arguments.add_action(actions, name, help_line)
        arguments.add_store(action, required=True)
        arguments.add_config(action)
        if name in {"show", "promote"}:
            usual = "active" if name == "show" else "staged"
            action.add_argument("name", nargs="?", metavar="NAME", help=f"bundle (default: the {usual} one)")
        if name in {"list", "show"}:
            arguments.add(action, "--json", "the bundles" if name == "list" else "manifest and rules")
        if name == "publish":
            arguments.add_store(action, "store to copy from", name="--of", required=True)


def parse(args: argparse.Namespace) -> BundleOptions:
    """The options of a command line."""
    return arguments.build(BundleOptions, args, source=getattr(args, "of", None))


def run(options: BundleOptions) -> int:
    """Carry out the action; raises TriageError."""
    if options.action != "publish":
        _refuse_missing(options.store)
    store = _open(options, options.store)
    ACTIONS[options.action][0](store, options)
    return 0


def _refuse_missing(name: StoreName) -> None:
    if name.is_missing:
        raise BundleError(
            f"{name}: there is no such store",
            likely="the path is mistyped, or nothing was learnt into it yet",
            next_step=f"check --store, or run `triage retrain --store {name}`; a store on GitHub is github:OWNER/NAME",
        )


def _open(options: BundleOptions, name: StoreName) -> Store:
    """The store, with the publishers that the configuration trusts."""
    if name.repo and not options.config.file:
        tracker, config = open_repository(name.repo, options.config, store=name)
        return open_store(name, config, tracker)
    return open_store(name, configuration.load(options.config.file))


def _list(store: Store, options: BundleOptions) -> None:
    from triage.reports.bundle_report import listing

    roles = {role_name(store, role): role for role in ("staged", "active")}
    lines = [_line(store, name, roles.get(name, "")) for name in store.names()]
    if not lines:
        status(f"{store.name} holds no bundle yet")
    if options.json:
        log_json([line.to_dict() for line in lines], indent=2)
    for text in listing(lines) if not options.json else ():
        log(text)


def _line(store: Store, name: str, role: str) -> BundleLine:
    from triage.reports.bundle_report import BundleLine

    try:
        return BundleLine(name, role, store.manifest(name))
    except BundleError as error:
        return BundleLine(name, role, None, _problem(name, error))


def _problem(name: str, error: BundleError) -> str:
    """What is wrong with a bundle, without its name."""
    where, _, problem = error.what.partition(": ")
    return problem if name in where else error.what


def _show(store: Store, options: BundleOptions) -> None:
    from triage.reports.bundle_report import shown

    name = options.name or store.role("active")
    if name is None:
        raise BundleError(
            f"{options.store} has no active bundle",
            likely="nothing has been learnt yet",
            next_step="run `triage retrain`",
        )
    bundle = store.load(name)
    if options.json:
        log_json({"name": name, "manifest": asdict(bundle.manifest), "rules": asdict(bundle.rules)}, indent=2)
        return
    role = next((role for role in ("active", "staged") if role_name(store, role) == name), "")
    log("\n".join(shown(name, role, bundle)))


def _whole(store: Store, name: str) -> Bundle:
    """The bundle, with every file checked and its own encoder tried. Raises BundleError."""
    bundle = store.load(name)
    bundle.verify()
    own_encoder(bundle)
    return bundle


def _verify(store: Store, _options: BundleOptions) -> None:
    failures: list[BundleError] = []
    for name in store.names():
        try:
            _whole(store, name)
            log(f"✓ {name}")
        except BundleError as error:
            failures.append(error)
            log(f"✗ {name}: {_problem(name, error)}")
    if failures:
        raise BundleError(
            f"{len(failures)} of {len(store.names())} bundles cannot be used",
            likely=failures[0].likely,
            next_step="if the active one is among them, run `triage retrain`; until then, an older one is used",
        )


def _promote(store: Store, options: BundleOptions) -> None:
    name = options.name or store.role("staged")
    if name is None:
        raise BundleError(
            f"{options.store} has no staged bundle",
            likely="the last candidate passed the gate",
            next_step="name a bundle; `triage bundle list` shows them",
        )
    _whole(store, name)
    store.set_role("active", name)
    if store.role("staged") == name:
        store.set_role("staged", None)
    log(f"{name} is active")


def _rollback(store: Store, options: BundleOptions) -> None:
    for name in _before_the_active(store):
        try:
            bundle = _whole(store, name)
        except BundleError as error:
            log(f"skipped {name}: {_problem(name, error)}")
            continue
        if bundle.manifest.refused:
            log(f"skipped {name}: the gate refused it")
            continue
        store.set_role("active", name)
        log(f"{name} is active")
        return
    raise BundleError(
        f"{options.store} has no usable bundle before the active one",
        likely="it was pruned, there was none, or the gate refused all earlier ones",
        next_step="run `triage retrain`, or choose one with `triage bundle promote NAME`",
    )


def _before_the_active(store: Store) -> Iterable[str]:
    """The bundles before the active one, newest first; all but the staged one where the active one is broken."""
    try:
        active = store.role("active")
    except BundleError:
        return older(store, None)
    return older(store, active) if active else ()


def _publish(store: Store, options: BundleOptions) -> None:
    from triage.learn.vectors import NAME, embedded_before

    assert options.source is not None  # noqa: S101 - required by both parsers
    if options.source.is_missing:
        log(f"nothing to publish: {options.source} does not exist")
        return
    source = _open(options, options.source)
    published = False
    for role in ("active", "staged"):
        name = source.role(role)
        if name is None or name == role_name(store, role):
            continue
        bundle = source.load(name)
        bundle.verify()
        refuse_exposure(store, filter(None, bundle.manifest.sources), visibility_of)
        saved = store.save(bundle)
        activate_or_stage(store, saved, bundle, role)
        log(f"{saved} is {role}")
        published = True
    vectors = embedded_before(source)
    if vectors is not None and vectors != embedded_before(store):
        store.put(NAME, vectors)
    if not published:
        log("nothing new to publish")


ACTIONS: Mapping[str, tuple[Callable[[Store, BundleOptions], None], str]] = {
    "list": (_list, "list the bundles, newest first, with what was measured"),
    "show": (_show, "show where a bundle comes from, its rules and its labels"),
    "verify": (_verify, "check every file of every bundle"),
    "promote": (_promote, "make the staged bundle, or the named one, active"),
    "rollback": (_rollback, "make the bundle before the active one active again"),
    "publish": (_publish, "copy the active and the staged bundle of another store to this one"),
}
