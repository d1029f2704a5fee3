"""From labelled issues to a bundle: embed, search, tune, judge on the newest window, index everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from triage import __version__
from triage.bundle.bundle import Bundle, Manifest, Rows
from triage.bundle.model import Neighbourhood, ServingModel, untaught_rule
from triage.config import Config
from triage.decide import Policy, judge
from triage.decide.rules import LabelRule, Rules, rarity
from triage.decide.vote import kernel, tally
from triage.engine.encoder import Encoder
from triage.engine.index import Index
from triage.engine.zeroshot import LabelText, ZeroShot
from triage.evaluate.metrics import summary
from triage.issue import Issue
from triage.learn.dataset import Dataset, prepare
from triage.learn.split import Fold, Split, split
from triage.learn.tune import MIN_QUERIES, Window, tune
from triage.learn.tune_zero_shot import Trial, affordable, tune_zero_shot

Floats = npt.NDArray[np.float32]
RowIds = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Engines:
    """The opened models that learning uses; `progress` makes a listener for so many texts to embed."""

    encoder: Encoder
    zero_shot: ZeroShot
    progress: Callable[[int], Callable[[int], None]] | None = None


@dataclass(frozen=True)
class Learnt:
    """A bundle ready to be saved, and what was left out of it."""

    bundle: Bundle
    data: Dataset


def retrain(
    issues: Iterable[Issue], config: Config, engines: Engines, *, now: str, kind: str | None = None
) -> Learnt:
    """Learn a bundle; `now` (ISO 8601) becomes its date, `kind` is the split ("time", "stratified", None: by data).

    Raises DataError where nothing is left to learn from.
    """
    data = prepare(issues, config)
    progress = engines.progress(len(data)) if engines.progress else None
    vectors = engines.encoder.encode([issue.text for issue in data.issues], progress=progress)
    return Learnt(learn(data, vectors, config, engines, now=now, kind=kind), data)


def learn(
    data: Dataset, vectors: Floats, config: Config, engines: Engines, *, now: str, kind: str | None
) -> Bundle:
    """The bundle of embedded issues, `vectors` [n, d] in the order of `data`."""
    windows = split(data, kind)
    everything = np.arange(len(data))
    enough = sum(len(fold.query) for fold in windows.tune) >= MIN_QUERIES
    draft = _fit(data, vectors, windows, config, engines)
    figures = _judge(draft, data, vectors, windows.test, config, engines) if enough else {}
    manifest = Manifest(
        created_at=now,
        triage_version=__version__,
        encoder=engines.encoder.name,
        encoder_digest=engines.encoder.digest,
        zero_shot=engines.zero_shot.name,
        adaptation="none",
        issues=len(data),
        sources=tuple(sorted({issue.repo for issue in data.issues})),
        split=windows.describe(data) if enough else {"kind": "none", "reason": "too few issues to tune on"},
        figures=figures,
    )
    return Bundle(
        manifest=manifest,
        rules=replace(draft, labels=_recount(draft, data, everything)),
        vectors=vectors,
        rows=Rows(data.keys(everything), data.labels(everything)),
        prior=vectors.mean(axis=0),
    )


def _fit(data: Dataset, vectors: Floats, windows: Split, config: Config, engines: Engines) -> Rules:
    """The rules tuned on the tuning window, with the examples that everything before the test window holds."""
    known = windows.test.known
    examples = _examples(data, known)
    voted = [j for j, name in enumerate(data.names) if examples.get(name, 0) >= config.vote.min_examples]
    may = Policy.of(config).may_set
    similarities, rows = _search(data, vectors, windows.tune)
    queries = np.concatenate([fold.query for fold in windows.tune])
    window = Window(
        names=[data.names[j] for j in voted],
        similarities=similarities,
        rows=rows,
        targets=data.targets[:, voted],
        truth=data.targets[queries][:, voted],
        settable=[may(data.names[j]) is None for j in voted],
    )
    rules = tune(
        window, config.vote, examples, len(known), untaught_rule(config.zero_shot, engines.zero_shot)
    )
    if len(queries) < MIN_QUERIES or not window.names:
        return rules
    trial = _trial(rules, data, vectors, window, queries, config, engines.zero_shot)
    return tune_zero_shot(rules, trial, config.zero_shot)


def _search(data: Dataset, vectors: Floats, folds: Sequence[Fold]) -> tuple[npt.NDArray[np.float32], RowIds]:
    """Neighbours of every query among its fold's known rows, as rows of the data set."""
    similarities, rows = [], []
    for fold in folds:
        order = [key[::-1] for key in data.keys(fold.known)]
        found, at = Index(vectors[fold.known], order).search(vectors[fold.query])
        similarities.append(found)
        rows.append(np.append(fold.known, -1)[at])
    return np.concatenate(similarities), np.concatenate(rows)


def _trial(
    rules: Rules,
    data: Dataset,
    vectors: Floats,
    window: Window,
    queries: RowIds,
    config: Config,
    zero_shot: ZeroShot,
) -> Trial:
    """Zero-shot scores of the newest queries for every label that the policy lets be set."""
    may = Policy.of(config).may_set
    columns = [j for j, name in enumerate(data.names) if may(name) is None]
    newest = slice(len(queries) - affordable(len(queries), len(columns), costly=zero_shot.costly), None)
    asked = queries[newest]
    labels = [LabelText(data.names[j], config.labels.descriptions.get(data.names[j], "")) for j in columns]
    texts = [data.issues[i].text for i in asked]
    raw = zero_shot.raw(texts, vectors[asked], labels, vectors.mean(axis=0))
    needed = np.array([rules.by_name[name].votes or np.inf for name in window.names])
    counted = tally(kernel(window.similarities[newest], rules.weighting), window.carries()[newest], rules.k)
    settable = np.array(window.settable)
    return Trial(
        raw=raw,
        truth=data.targets[asked][:, columns],
        rare=np.array([data.names[j] not in window.names for j in columns], dtype=bool),
        rarity=np.array([rarity(rules, data.names[j]) for j in columns]),
        elected=(counted >= needed)[:, settable],
        voted_truth=window.truth[newest][:, settable],
    )


def _judge(
    rules: Rules,
    data: Dataset,
    vectors: Floats,
    fold: Fold,
    config: Config,
    engines: Engines,
) -> dict[str, float]:
    """The figures of the real decisions on a fold, over the labels that may be set."""
    known = vectors[fold.known]
    model = ServingModel(
        encoder=engines.encoder,
        zero_shot=engines.zero_shot,
        descriptions=config.labels.descriptions,
        rules=rules,
        neighbourhood=Neighbourhood(known, data.keys(fold.known), data.labels(fold.known)),
        prior=known.mean(axis=0),
    )
    policy = Policy.of(config)
    issues = [data.issues[i] for i in fold.query]
    decisions = [
        judge(evidence, rules, policy, bundle="")
        for evidence in model.evidence_of(issues, vectors[fold.query])
    ]
    names = [name for name in data.names if policy.may_set(name) is None]
    columns = [data.names.index(name) for name in names]
    predicted = np.array([[name in d.labels for name in names] for d in decisions], dtype=bool)
    scores = np.array([[d.scores.get(name, 0.0) for name in names] for d in decisions])
    return summary(data.targets[fold.query][:, columns], predicted, scores)


def _examples(data: Dataset, rows: RowIds) -> dict[str, int]:
    counts = data.targets[rows].sum(axis=0)
    return {name: int(count) for name, count in zip(data.names, counts, strict=True) if count}


def _recount(rules: Rules, data: Dataset, rows: RowIds) -> tuple[LabelRule, ...]:
    """The labels' rules with the examples that `rows` hold; a label new in them gets the common m."""
    tuned = rules.by_name
    fresh = LabelRule("", 0, 0.0, rules.votes)
    return tuple(
        replace(tuned.get(name, fresh), name=name, examples=count, prior=count / len(rows))
        for name, count in sorted(_examples(data, rows).items())
    )
