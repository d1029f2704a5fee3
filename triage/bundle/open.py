"""Opening what several commands need: the configuration's engines and the store's bundle.

The bundle that was in use when a retraining began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING

from triage.bundle.store import Store, role_name
from triage.config import Config, ZeroShotConfig
from triage.console import warning
from triage.errors import BundleError, MissingExtra, NothingToLabelWith
from triage.issue import format_time, parse_time

if TYPE_CHECKING:
    from triage.bundle.bundle import Bundle
    from triage.bundle.model import ServingModel
    from triage.engine.encoder import Encoder
    from triage.engine.zero_shot import ZeroShotModel


def need(extra: str, *packages: str, to: str) -> None:
    """Raise MissingExtra where a package of the extra is not installed: before work begins, not in the middle."""
    if lacking := [name for name in packages if find_spec(name) is None]:
        raise MissingExtra(f"{to} needs {', '.join(lacking)}", extra)


def open_engines(config: Config, bundle: Bundle | None = None) -> tuple[Encoder, ZeroShotModel]:
    """The encoder, the bundle's own where it has one, and the zero-shot model of the configuration.

    Raises ModelError.
    """
    from triage.engine.encoder import Encoder
    from triage.engine.model_folder import BUILTIN_ENCODER, Pins, resolve, unpacked
    from triage.engine.zero_shot import open_zero_shot

    settings = config.encoder
    if bundle is not None and bundle.encoder:
        folder = unpacked(bundle.encoder)
    else:
        folder = resolve(settings.model, Pins(settings.revision, settings.sha256), BUILTIN_ENCODER)
    encoder = Encoder.load(folder, budget=settings.budget)
    return encoder, open_zero_shot(config.zero_shot, encoder)


def usable_bundle(store: Store, repo: str = "") -> tuple[str, Bundle] | None:
    """The active bundle; where it is damaged, the newest older one that is whole, with a warning.

    With `repo`, as far as issues of that repository need it. None where the store holds no active bundle. Raises
    BundleError where none can be used.
    """
    failure: BundleError | None = None
    try:
        active = store.role("active")
    except BundleError as error:
        active, failure = None, error
    if active is None and failure is None:
        return None
    for name in candidates(store, active):
        try:
            bundle = store.load(name, repo)
        except BundleError as error:
            failure = failure or error
            continue
        if failure:
            warning(f"{failure.what}; going on with the previous bundle, {name}")
        return name, bundle
    assert failure is not None  # noqa: S101 - the active bundle was tried at least
    raise failure


def candidates(store: Store, active: str | None) -> list[str]:
    """The active bundle and the older ones, newest first; never a candidate that waits for its gate."""
    try:
        staged = store.role("staged")
    except BundleError:
        staged = None
    older = [name for name in store.names() if name != staged and (active is None or name < active)]
    return [active, *older] if active else older


def open_serving(
    config: Config,
    store: Store | None,
    *,
    described: Mapping[str, str] | None = None,
    repo: str = "",
) -> ServingModel:
    """The model to label with; see `knowledge`. Raises what that does, and ModelError."""
    return serving(config, *knowledge(config, store, described, repo))


def knowledge(
    config: Config, store: Store | None, described: Mapping[str, str] | None = None, repo: str = ""
) -> tuple[tuple[str, Bundle] | None, dict[str, str]]:
    """What is labelled with: the store's bundle and its name, if there is one, and the labels' descriptions.

    `described` are the descriptions on GitHub; those of the configuration go before them. `repo` is the only
    repository whose issues are labelled, where it is but one. Raises NothingToLabelWith where there is neither a
    bundle nor a description, and BundleError.
    """
    from triage.decide import Policy

    found = usable_bundle(store, repo) if store else None
    may_set = Policy.of(config).may_set
    ours = {name: text for name, text in (described or {}).items() if may_set(name) is None}
    descriptions = ours | config.labels.descriptions
    if found is None and not descriptions:
        raise NothingToLabelWith("there is no bundle to label with, and no label is described")
    return found, descriptions


def serving(
    config: Config,
    found: tuple[str, Bundle] | None,
    descriptions: Mapping[str, str],
) -> ServingModel:
    """The model of a bundle, or of described labels alone. Raises BundleError and ModelError."""
    engines = open_engines(config, found[1] if found else None)
    return serving_with(engines, config.zero_shot, found, descriptions)


def serving_with(
    engines: tuple[Encoder, ZeroShotModel],
    settings: ZeroShotConfig,
    found: tuple[str, Bundle] | None,
    descriptions: Mapping[str, str],
) -> ServingModel:
    """As `serving`, with engines that are open already."""
    from triage.bundle.model import ServingModel, open_model, untaught_rule
    from triage.decide.rules import Rules

    encoder, zero_shot = engines
    if found is not None:
        name, bundle = found
        return open_model(bundle, name, encoder, zero_shot, descriptions)
    rules = Rules(zero_shot=untaught_rule(settings, zero_shot))
    return ServingModel(encoder, zero_shot, descriptions, rules)


@dataclass(frozen=True)
class PreviousBundle:
    """The active bundle as it was when learning began, under the name that the store gave it ("": none).

    `bundle` is the one that can be used: where the active one is not `whole`, an older one, or none.
    """

    name: str = ""
    bundle: Bundle | None = None
    whole: bool = True

    def later(self, at: datetime) -> str:
        """The date (ISO 8601) of what is learnt at `at`: after this bundle's, since names sort by it."""
        moments = [at]
        if self.bundle:
            # A clock may have been set back, or been fast when the bundle before was made.
            moments.append(parse_time(self.bundle.manifest.created_at) + timedelta(seconds=1))
        return format_time(max(moments)) or ""


def previous_bundle(against: Store) -> PreviousBundle:
    """What is compared with. A store without one whole bundle must not keep the next one from being learnt."""
    name = role_name(against, "active")
    try:
        found = usable_bundle(against)
    except BundleError as error:
        warning(f"{error.what}; there is nothing to compare with, so the new bundle takes its place")
        return PreviousBundle(name, whole=False)
    return PreviousBundle(name, found[1], found[0] == name) if found else PreviousBundle(name)
