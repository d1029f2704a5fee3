"""From labelled issues to a bundle: embed, adapt, tune, judge on the newest window, then index everything.

A large index is compressed and, if possible, updated from the index of the active bundle. With a new bundle,
maintainers get advice: what happened to the bot's labels, drift, and which issues to label next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

import numpy as np

from triage import __version__
from triage.arrays import AnyFloats, Floats, Ints
from triage.bundle.bundle import FORMAT_COMPRESSED, Bundle, BundleManifest, Compression, Rows
from triage.bundle.ivf_files import LazyKeys
from triage.config import Config
from triage.decide import Decision
from triage.decide.case import Attribution
from triage.decide.policy import named
from triage.engine.ivf_build import Built, compress, exact, updated
from triage.issue import Issue, Key, Names, RepositoryIds
from triage.learn.dataset import Dataset, split
from triage.learn.gate import recipe_settings
from triage.learn.provenance import LiveAccuracy, live_accuracy_since
from triage.learn.recipe import Engines, Recipe


@dataclass(frozen=True)
class TrainedBundle:
    """A bundle ready to be saved, and its recipe."""

    bundle: Bundle
    recipe: Recipe


@dataclass(frozen=True)
class RetrainContext:
    """One retraining: `now` (ISO 8601) becomes the bundle's date; `kind` is the split (None: by the data).

    `after` names the bundle that was active when it began ("": none); `active` is that bundle if it can be read, so
    that a large index is updated rather than rebuilt. `ids` are the ids of the repositories that were read.
    """

    now: str
    kind: str | None = None
    adapt: str = "head"
    bots: tuple[str, ...] = ()
    after: str = ""
    active: Bundle | None = None
    ids: tuple[RepositoryIds, ...] = ()


def learn(
    data: Dataset,
    vectors: Floats,
    config: Config,
    engines: Engines,
    context: RetrainContext,
    unlabelled: Sequence[Issue] = (),
    unlabelled_vectors: Floats | None = None,
    encoded: Mapping[str, Floats] = MappingProxyType({}),
) -> TrainedBundle:
    """The bundle of embedded issues, `vectors` [n, d] in the order of `data`; see `Recipe` for the rest."""
    left = np.empty((0, 0), np.float32) if unlabelled_vectors is None else unlabelled_vectors
    windows = split(data, context.kind)
    recipe = Recipe(data, vectors, windows, config, engines, context.adapt, unlabelled, left, encoded)
    return TrainedBundle(assemble(recipe, context), recipe)


def assemble(
    recipe: Recipe,
    context: RetrainContext,
    *,
    vectors: Floats | None = None,
    engines: Engines | None = None,
    encoder: Mapping[str, bytes] | None = None,
) -> Bundle:
    """The recipe's rules over an index of all its issues.

    A bundle with its own encoder gets the files of the `encoder`, and its `vectors` [n, d] and `engines`.
    """
    data = recipe.data
    everything = np.arange(len(data))
    whole = replace(recipe, vectors=recipe.vectors if vectors is None else vectors)
    engines = engines or recipe.engines
    projection, points = whole.adapted(everything)
    rules = recipe.rules_for(everything)
    manifest = BundleManifest(
        created_at=context.now,
        triage_version=__version__,
        encoder=engines.encoder.name,
        encoder_digest=engines.encoder.digest,
        zero_shot=engines.zero_shot.name,
        adaptation=recipe.adaptation,
        head=projection.settings() if projection else {},
        recipe=recipe_settings(recipe.config, recipe.adaptation, own_encoder=bool(encoder)),
        bots=context.bots,
        after=context.after,
        issues=len(data),
        labels=len(data.names),
        target=rules.aim(recipe.policy.target),
        point=rules.point(recipe.policy.target),
        sources=tuple(sorted({issue.repo for issue in data.issues})),
        split=recipe.split.describe(data)
        if recipe.enough
        else {"kind": "none", "reason": "too few issues to tune on"},
        figures=recipe.result.figures if recipe.enough else {},
    )
    bundle = Bundle(
        manifest=manifest,
        rules=rules,
        vectors=points,
        rows=Rows(data.keys(everything), data.labels(everything)),
        prior=whole.vectors.mean(axis=0),
        encoder=encoder or {},
        head=projection.arrays() if projection else {},
        ids=_recorded(context.ids, (*rules.by_name, *named(recipe.config))),
        propensity=whole.propensity(everything)[0],
    )
    return indexed(bundle, context.active)


def _recorded(ids: Iterable[RepositoryIds], names: Iterable[str]) -> tuple[RepositoryIds, ...]:
    """The ids of the repositories and of these labels, spelt as they are here."""
    wanted = Names(dict.fromkeys(names))
    return tuple(
        replace(each, labels={wanted.spelt(name): i for name, i in each.labels.items() if name in wanted})
        for each in ids
    )


def indexed(bundle: Bundle, active: Bundle | None = None) -> Bundle:
    """The bundle unchanged if it has few vectors, otherwise compressed: with codes instead of vectors.

    The index of the `active` bundle is updated only if no head was learnt, because heads differ. Raises BundleError if
    the compressed index would miss too many neighbours.
    """
    if exact(*bundle.vectors.shape):
        return bundle
    update = _updated(bundle, active) if active else None
    built, changed = update or (compress(bundle.vectors, _owners(bundle)), 0)
    rows = active.manifest.index.rows if update and active and active.manifest.index else len(built.codes)
    return replace(
        bundle,
        manifest=replace(
            bundle.manifest,
            format=FORMAT_COMPRESSED,
            index=Compression(built.codes.probes, built.recall, built.queries, rows, changed),
        ),
        vectors=np.empty((0, 0), dtype=np.float32),
        rows=Rows(
            [bundle.rows.keys[i] for i in built.order.tolist()],
            [bundle.rows.labels[i] for i in built.order.tolist()],
        ),
        codes=built.codes,
    )


def _owners(bundle: Bundle) -> Ints | None:
    """The number of each row's repository, in the order of names, where neighbours come from the own one only."""
    if bundle.rules.shared != ():
        return None
    repos = [repo for repo, _ in bundle.rows.keys]
    return np.unique(repos, return_inverse=True)[1].astype(np.int64)


def _updated(bundle: Bundle, active: Bundle) -> tuple[Built, int] | None:
    codes, made, keys = active.codes, active.manifest.index, active.rows.keys
    same = active.manifest.encoder_digest == bundle.manifest.encoder_digest
    if codes is None or made is None or not same or bundle.head or active.head:
        return None
    if not isinstance(keys, LazyKeys) or codes.centroids.shape[1] != bundle.vectors.shape[1]:
        return None
    owners = _owners(bundle)
    if (active.rules.shared == ()) != (bundle.rules.shared == ()):
        return None
    if owners is not None and list(keys.repos) != sorted({repo for repo, _ in bundle.rows.keys}):
        return None
    codes.verify()
    there = np.array([-1 if row is None else row for row in keys.find(bundle.rows.keys)], dtype=np.int64)
    return updated(codes, there, bundle.vectors, made.rows, made.changed, owners)


@dataclass(frozen=True)
class Drift:
    """The share of `issues` without a close neighbour: whose closest is less similar than `floor`."""

    share: float
    issues: int
    floor: float


def drift(closest: AnyFloats, floor: float) -> Drift:
    """`closest` [n] holds each new issue's similarity to its closest neighbour; NaN where it has none."""
    distant = ~(np.asarray(closest) >= floor)
    return Drift(float(distant.mean()) if len(distant) else 0.0, len(distant), floor)


@dataclass(frozen=True)
class RetrainAdvice:
    """Live accuracy by label since the active bundle was made, drift, and the issues to label next, best first."""

    live: Mapping[str, LiveAccuracy] = field(default_factory=dict)
    drift: Drift | None = None
    unsure: tuple[Key, ...] = ()


def advise(
    recipe: Recipe, issues: Sequence[Issue], attribution: Attribution, since: datetime | None
) -> RetrainAdvice:
    """The advice from a recipe and all `issues`; `since` is when the bot began (None: it has not labelled yet)."""
    live = live_accuracy_since(issues, attribution, since) if since else {}
    if not recipe.enough:
        return RetrainAdvice(live)
    closest = [
        decision.evidence.closest if decision.evidence.neighbours else np.nan
        for decision in (*recipe.newest, *recipe.on_unlabelled)
    ]
    return RetrainAdvice(
        live,
        drift(np.array(closest), recipe.rules.closest),
        unsure(recipe.on_unlabelled, recipe.result.names),
    )


# As many as a maintainer labels in a few minutes.
LABEL_NEXT = 8


def unsure(decisions: Iterable[Decision], names: Collection[str], most: int = LABEL_NEXT) -> tuple[Key, ...]:
    """The issues whose labels are least certain: most bits over the labels `names` (Lewis and Gale, 1994)."""
    ranked = sorted((-_bits(decision, names), decision.key) for decision in decisions)
    return tuple(key for bits, key in ranked[:most] if bits < 0)


def _bits(decision: Decision, names: Collection[str]) -> float:
    p = np.clip([decision.scores.get(name, 0.0) for name in names], 1e-12, 1 - 1e-12)
    return round(float(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)).sum()), 6)
