"""From labelled issues to a bundle: embed, adapt, tune, judge on the newest window, then index everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from triage import __version__
from triage.bundle.bundle import Bundle, Manifest, Rows
from triage.config import Config
from triage.issue import Issue
from triage.learn.dataset import Dataset
from triage.learn.gate import recipe
from triage.learn.indexing import indexed
from triage.learn.split import split
from triage.learn.study import Engines, Study
from triage.learn.tune import sweep

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Learnt:
    """A bundle ready to be saved, the study it comes from, and the tuning micro-F1 of each adaptation tried."""

    bundle: Bundle
    study: Study
    tried: dict[str, float]


@dataclass(frozen=True)
class Occasion:
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
    occasion: Occasion,
    unlabelled: Sequence[Issue] = (),
) -> Learnt:
    """The bundle of embedded issues, `vectors` [n, d] in the order of `data`; see `Study` for the rest."""
    windows = split(data, occasion.kind)
    names = ("none", "head") if occasion.adapt == "auto" else (occasion.adapt,)
    studies = [Study(data, vectors, windows, config, engines, name, unlabelled) for name in names]
    study, tried = best(studies)
    return Learnt(assemble(study, occasion), study, tried)


def best(studies: Sequence[Study]) -> tuple[Study, dict[str, float]]:
    """The study with the best micro-F1 on its tuning window; an adaptation is kept only where it helps."""
    if len(studies) == 1 or not studies[0].enough or not any(studies[0].window.settable):
        return studies[0], {}
    tried = {
        study.adaptation: round(max(s.micro_f1 for s in sweep(study.window, study.config.vote)), 4)
        for study in studies
    }
    return max(studies, key=lambda study: tried[study.adaptation]), tried


def assemble(
    study: Study,
    occasion: Occasion,
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
    manifest = Manifest(
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
