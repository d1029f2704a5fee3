"""Opening a configuration's engines, here or on the workers of a Ray cluster, and a store's bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from triage.bundle.store import Store, role_name
from triage.config import Config
from triage.console import stage, status, warning
from triage.errors import BundleError, MissingExtra, ModelError, NothingToLabelWith
from triage.issue import Issue, Names, RepositoryIds, folded, format_time
from triage.schema import parse_time

if TYPE_CHECKING:
    from triage.arrays import Floats
    from triage.bundle.bundle import Bundle
    from triage.bundle.model import ServingModel
    from triage.decide import Evidence
    from triage.engine.encoder import Encoder
    from triage.engine.ray_backend import Cluster, RemoteJob
    from triage.engine.zero_shot import ZeroShotModel

# The `--engine` that is this process.
LOCAL = "local"


def need(extra: str, *packages: str, to: str) -> None:
    """Raise MissingExtra, before work begins, where a package of the extra is not installed."""
    if missing := [name for name in packages if find_spec(name) is None]:
        raise MissingExtra(f"{to} needs {', '.join(missing)}", extra)


def open_engines(config: Config, bundle: Bundle | None = None) -> tuple[Encoder, ZeroShotModel]:
    """The encoder, of the bundle if it has its own, and the zero-shot model of the configuration.

    Raises ModelError, and BundleError where the bundle's own encoder cannot be used.
    """
    from triage.engine.encoder import Encoder
    from triage.engine.model_folder import Pins, resolve
    from triage.engine.zero_shot import open_zero_shot

    settings = config.encoder
    encoder = own_encoder(bundle, settings.max_tokens) if bundle else None
    if encoder is None:
        folder = resolve(settings.model, Pins(settings.revision, settings.sha256))
        encoder = Encoder.load(folder, budget=settings.max_tokens)
    return encoder, open_zero_shot(config.zero_shot, encoder)


def fits(bundle: Bundle, config: Config) -> bool:
    """Whether the bundle was learnt with the models of this configuration: encoder and zero-shot model."""
    encoder, zero_shot = open_engines(config, bundle)
    return encoder.digest == bundle.manifest.encoder_digest and not other_zero_shot(bundle, zero_shot)


def other_zero_shot(bundle: Bundle, zero_shot: ZeroShotModel) -> str:
    """That the bundle's rules were tuned for another zero-shot model, or empty."""
    tuned = bundle.manifest.zero_shot
    return (
        f"it was tuned for the zero-shot model {tuned}, and the configuration has {zero_shot.name} (zero_shot.model)"
        if tuned not in ("", zero_shot.name)
        else ""
    )


def own_encoder(bundle: Bundle, budget: int | None = None) -> Encoder | None:
    """The encoder in the bundle, tried on a word; None where it has none. Raises BundleError if it cannot be used."""
    if not bundle.encoder:
        return None
    from triage.engine.model_folder import unpacked

    try:
        return _tried(unpacked(bundle.encoder), budget)
    except ModelError as error:
        raise BundleError(f"the bundle's own encoder cannot be used ({error.what})") from None


@lru_cache(maxsize=1)
def _tried(folder: Path, budget: int | None) -> Encoder:
    """The last one is kept, since a bundle is tried before it is used."""
    from triage.engine.encoder import Encoder

    encoder = Encoder.load(folder, budget=budget)
    encoder.encode(["word"], threads=1)
    return encoder


def usable_bundle(store: Store, repo: RepositoryIds | None = None) -> tuple[str, Bundle] | None:
    """(name, bundle) of the active bundle, or with a warning of the newest older one if the active one is damaged.

    One that the gate refused takes the active one's place only if a person promotes it. With `repo`, only the part
    that issues of that repository need. None where the store holds no active bundle.
    Raises BundleError where none can be used.
    """
    failure: BundleError | None = None
    try:
        active = store.role("active")
        if active is None:
            return None
    except BundleError as error:
        active, failure = None, error
    for name in _in_turn(store, active):
        try:
            bundle = store.load(name, repo)
            own_encoder(bundle)
        except BundleError as error:
            failure = failure or error
            continue
        if bundle.manifest.refused and name != active:
            continue
        if failure:
            warning(
                f"{failure.what}; continuing with the previous bundle, {name}. Next step: {failure.next_step}"
            )
        return name, bundle
    assert failure is not None  # noqa: S101 - the active bundle was tried at least
    raise failure


def _in_turn(store: Store, active: str | None) -> Iterator[str]:
    """The active bundle, then the older ones, which are looked for only when they are needed."""
    if active:
        yield active
    yield from older(store, active)


def older(store: Store, active: str | None) -> Iterator[str]:
    """The bundles before the active one, newest first, without the staged one; all others where none is active."""
    try:
        staged = store.role("staged")
    except BundleError:
        staged = None
    return (name for name in store.names() if name != staged and (active is None or name < active))


@stage("opening the bundle")
def open_serving(
    config: Config,
    store: Store | None,
    *,
    described: Mapping[str, str] | None = None,
    repo: RepositoryIds | None = None,
) -> ServingModel:
    """The model of the store's bundle, or else of the described labels alone.

    `described` are the descriptions on GitHub; those of the configuration take precedence. `repo` is the repository
    of all issues that will be labelled, as it is now, if it is only one: what it and its labels are called now is what
    the model calls them. Raises NothingToLabelWith where there is neither a bundle nor a description nor a fixed rule,
    BundleError and ModelError.
    """
    from triage.bundle.bundle import under_present_names
    from triage.bundle.model import ServingModel, open_model, untaught_rule
    from triage.decide.policy import Policy, followed
    from triage.decide.rules import Rules

    usable = usable_bundle(store, repo) if store else None
    renamed: Mapping[str, str] = {}
    if usable:
        name, whole = usable
        bundle, renamed = under_present_names(whole, repo)
        config = followed(config, renamed, repo.labels if repo else ())
    policy = Policy.of(config)
    known = {name: text for name, text in (described or {}).items() if text} | config.labels.descriptions
    # A label that is never set must not rival one that may be.
    descriptions = Names({name: known[name] for name in policy.settable(known)})
    if usable is None:
        if not descriptions and not config.rules:
            if store is None:
                raise NothingToLabelWith(
                    "no store of bundles was named, and no label is described",
                    likely="the store was left out",
                    next_step="name the store that `triage retrain` wrote to (`--store`): a folder, or "
                    "github:OWNER/NAME, where the workflows keep their bundles",
                )
            if store.name.is_missing:
                raise NothingToLabelWith(
                    f"{store.name} is not a store, and no label is described",
                    likely="the path is mistyped, or nothing was learnt into it yet",
                )
            raise NothingToLabelWith("there is no bundle to label with, and no label is described")
        encoder, zero_shot = open_engines(config)
        rules = Rules(zero_shot=untaught_rule(config.zero_shot, zero_shot), languages=config.languages)
        return ServingModel(encoder, zero_shot, descriptions, rules)
    model = open_model(bundle, name, *open_engines(config, bundle), descriptions)
    if other := other_zero_shot(bundle, model.zero_shot):
        # Scores of two models have different scales.
        warning(f"bundle {name}: {other}. Next step: `triage retrain`")
        untuned = untaught_rule(config.zero_shot, model.zero_shot)
        model = replace(model, rules=replace(model.rules, zero_shot=untuned))
    if repo and (silence := model.silence(repo.name)):
        warning(
            f"bundle {name}: {silence}. Likely cause: the repository was renamed or is new. Next step: `triage retrain`"
        )
    learnt = [rule.name for rule in model.rules.labels]
    return replace(model, renamed=renamed, never=folded(learnt) - folded(policy.settable(learnt)))


def warn_if_untaught(model: ServingModel, store: Store | None, *, unattended: bool = False) -> None:
    """Warn a person whose store has nothing to vote with; where none was named, only say so."""
    if unattended or model.neighbourhood:
        return
    if store is None:
        status("no store was named (--store): labels are judged by their descriptions alone")
    else:
        what = "is no store" if store.name.is_missing else "holds no active bundle"
        warning(
            f"{store.name} {what}: labels are judged by their descriptions alone. Next step: `triage retrain`"
        )


@dataclass(frozen=True)
class PreviousBundle:
    """The bundle that was active when learning began; `name` is empty where there was none.

    `bundle` is the active one if it is `whole`, else the newest older one that is, or None.
    """

    name: str = ""
    bundle: Bundle | None = None
    whole: bool = True

    def later(self, at: datetime) -> str:
        """The date (ISO 8601) of a bundle learnt at `at`: later than this bundle's, since names sort by it."""
        if self.bundle:
            # A clock may have been set back, or been fast when this bundle was learnt.
            at = max(at, parse_time(self.bundle.manifest.created_at) + timedelta(seconds=1))
        return format_time(at) or ""


def previous_bundle(against: Store) -> PreviousBundle:
    """The bundle that a new one is compared with. A store without any whole bundle does not prevent learning."""
    name = role_name(against, "active")
    try:
        usable = usable_bundle(against)
    except BundleError as error:
        warning(f"{error.what}; there is nothing to compare with, so the new bundle takes its place")
        return PreviousBundle(name, whole=False)
    return PreviousBundle(name, usable[1], usable[0] == name) if usable else PreviousBundle(name)


def check_engine(engine: str) -> None:
    """Raise MissingExtra where the packages for `engine` are not installed: before work begins."""
    if engine != LOCAL:
        need("ray", "ray", "pyarrow", "pandas", to="--engine ray")


@contextmanager
def workers(engine: str) -> Iterator[Cluster | None]:
    """The cluster that `--engine` names; None for this process. Raises ClusterError."""
    if engine == LOCAL:
        yield None
        return
    from triage.engine.ray_backend import connected

    with connected(engine.removeprefix("ray").removeprefix("://")) as cluster:
        yield cluster


def encoding(cluster: Cluster | None, encoder: Encoder) -> RemoteJob[str, Floats] | None:
    """The encoder on the workers of the cluster, if there is one. Raises ModelError."""
    return cluster.hire(partial(_encode, encoder)) if cluster else None


def deciding(cluster: Cluster | None, model: ServingModel) -> RemoteJob[Issue, Evidence] | None:
    """The model on the workers of the cluster, if there is one. Raises ModelError."""
    # A bundle holds the files of a fine-tuned encoder, which is sent as the encoder.
    return cluster.hire(partial(_gather, replace(model, bundle=None))) if cluster else None


# There is a worker for each core, so each works in one thread.
def _encode(encoder: Encoder, texts: Sequence[str]) -> list[Floats]:
    return list(encoder.encode(texts, threads=1))


def _gather(model: ServingModel, issues: Sequence[Issue]) -> list[Evidence]:
    return list(model.evidence(issues, threads=1))
