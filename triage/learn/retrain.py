"""From labelled issues to a bundle: embed, adapt, tune, judge on the newest window, then index everything.

The index of a learnt bundle: as its size asks for, and where it can be, the last one brought up to date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from triage import __version__
from triage.arrays import Floats, Ints
from triage.bundle.bundle import FORMAT_COMPRESSED, Bundle, BundleManifest, Compression, Rows
from triage.bundle.ivf_files import LazyKeys
from triage.config import Config
from triage.engine.ivf_build import Built, compress, exact, updated
from triage.issue import Issue
from triage.learn.dataset import Dataset
from triage.learn.gate import recipe
from triage.learn.recipe import Engines, Recipe
from triage.learn.split import split
from triage.learn.tune import sweep


@dataclass(frozen=True)
class TrainedBundle:
    """A bundle ready to be saved, the study it comes from, and the tuning micro-F1 of each adaptation tried."""

    bundle: Bundle
    study: Recipe
    tried: dict[str, float]


@dataclass(frozen=True)
class RetrainContext:
    """One retraining: `now` (ISO 8601) becomes the bundle's date; `kind` is the split (None: by the data).

    `after` names the bundle that was active when it began ("": none); `active` is that bundle where it can be read:
    the index of a large one is brought up to date rather than made anew.
    """

    now: str
    kind: str | None = None
    adapt: str = "auto"
    bots: tuple[str, ...] = ()
    after: str = ""
    active: Bundle | None = None


def learn(
    data: Dataset,
    vectors: Floats,
    config: Config,
    engines: Engines,
    occasion: RetrainContext,
    unlabelled: Sequence[Issue] = (),
) -> TrainedBundle:
    """The bundle of embedded issues, `vectors` [n, d] in the order of `data`; see `Recipe` for the rest."""
    windows = split(data, occasion.kind)
    names = ("none", "head") if occasion.adapt == "auto" else (occasion.adapt,)
    studies = [Recipe(data, vectors, windows, config, engines, name, unlabelled) for name in names]
    study, tried = best(studies)
    return TrainedBundle(assemble(study, occasion), study, tried)


def best(studies: Sequence[Recipe]) -> tuple[Recipe, dict[str, float]]:
    """The study with the best micro-F1 on its tuning window; an adaptation is kept only where it helps."""
    if len(studies) == 1 or not studies[0].enough or not any(studies[0].window.settable):
        return studies[0], {}
    tried = {
        study.adaptation: round(max(s.micro_f1 for s in sweep(study.window, study.config.vote)), 4)
        for study in studies
    }
    return max(studies, key=lambda study: tried[study.adaptation]), tried


def assemble(
    study: Recipe,
    occasion: RetrainContext,
    *,
    vectors: Floats | None = None,
    engines: Engines | None = None,
    encoder: Mapping[str, bytes] | None = None,
) -> Bundle:
    """The study's rules over an index of all its issues.

    With the files of an `encoder` of its own, `vectors` [n, d] and `engines` are that one's.
    """
    data = study.data
    everything = np.arange(len(data))
    whole = replace(study, vectors=study.vectors if vectors is None else vectors)
    engines = engines or study.engines
    projection, points = whole.adapted(everything)
    manifest = BundleManifest(
        created_at=occasion.now,
        triage_version=__version__,
        encoder=engines.encoder.name,
        encoder_digest=engines.encoder.digest,
        zero_shot=engines.zero_shot.name,
        adaptation=study.adaptation,
        head=projection.settings() if projection else {},
        recipe=recipe(study.config, study.adaptation, own_encoder=bool(encoder)),
        bots=occasion.bots,
        after=occasion.after,
        issues=len(data),
        sources=tuple(sorted({issue.repo for issue in data.issues})),
        split=study.split.describe(data)
        if study.enough
        else {"kind": "none", "reason": "too few issues to tune on"},
        figures=study.verdict.figures if study.enough else {},
    )
    bundle = Bundle(
        manifest=manifest,
        rules=study.rules_for(everything),
        vectors=points,
        rows=Rows(data.keys(everything), data.labels(everything)),
        prior=whole.vectors.mean(axis=0),
        encoder=encoder or {},
        head=projection.arrays() if projection else {},
    )
    return indexed(bundle, occasion.active)


def indexed(bundle: Bundle, active: Bundle | None = None) -> Bundle:
    """The bundle as it is while its vectors are few, else with codes in their place.

    Only points that the encoder alone made are comparable with those in the index of the `active` bundle. Raises
    BundleError where the compressed index would find too little.
    """
    if exact(*bundle.vectors.shape):
        return bundle
    brought = _brought_up_to_date(bundle, active) if active else None
    built, changed = brought or (compress(bundle.vectors, _owners(bundle)), 0)
    rows = active.manifest.index.rows if brought and active and active.manifest.index else len(built.codes)
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
    """The number of each row's repository, where neighbours are searched in the own one alone; numbers go by name, so
    that they are those of the repositories in the order of the lists.
    """
    if bundle.rules.shared != ():
        return None
    repos = [repo for repo, _ in bundle.rows.keys]
    return np.unique(repos, return_inverse=True)[1].astype(np.int64)


def _brought_up_to_date(bundle: Bundle, active: Bundle) -> tuple[Built, int] | None:
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
