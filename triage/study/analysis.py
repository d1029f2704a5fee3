"""What the report shows, computed once from the runs: tables, curves, sweeps, labels, a map and a few queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from triage.arrays import Array, Floats, Ints, Mask
from triage.metrics import Bin, f1_per_label, micro_f1, precision_at_coverage, reliability
from triage.study.compare import Curve, Recommendation, advise, curves
from triage.study.methods.neighbours import FittedNeighbours
from triage.study.results import StudyRun
from triage.study.study import Study, StudyOutcome
from triage.study.sweeps import FLOORS, Grid, SweepLine, neighbour_sweep, threshold_sweep, top_k_sweep

COVERAGES = tuple(round(0.05 * i, 2) for i in range(1, 21))
# The chapter's number of best labels, which a threshold should beat.
TOP = 3
EXAMPLES = 4
MAPPED = 600
STEPS = 500
# Of what t-SNE sees of a vector; more only cost time.
COMPONENTS = 50


@dataclass(frozen=True)
class Sweep:
    """A zero-shot method: both sweeps on validation, and on test what was best there, by threshold and by top-k."""

    method: str
    threshold: SweepLine
    top_k: SweepLine
    test_threshold: float
    test_top_k: float
    test_top_3: float | None


@dataclass(frozen=True)
class Voted:
    """The grid of k, m and floor on validation, its best settings, and what these have on test."""

    grid: Grid
    micro_at: tuple[int, int, float]
    macro_at: tuple[int, int, float]
    micro_on_test: float
    macro_on_test: float


@dataclass(frozen=True)
class LabelLine:
    """One label on test, by the recommended method with one threshold; `own_f1` with the label's own.

    `confused` is set most often, wrongly, where this one is missed, so many `times`.
    """

    name: str
    support: int
    precision: float
    recall: float
    f1: float
    own_f1: float
    threshold: float
    confused: str
    times: int


@dataclass(frozen=True)
class Query:
    """An issue of the test part, its nearest (similarity, row) and the votes of k; rows are those of the data."""

    row: int
    truth: tuple[str, ...]
    set_labels: tuple[str, ...]
    near: tuple[tuple[float, int], ...]
    votes: dict[str, int]


@dataclass(frozen=True)
class Findings:
    """See the fields' types; `table` are runs on the largest slice, best first; `points` [n, 2] the map of `mapped`."""

    table: Sequence[StudyRun]
    curves: Sequence[Curve]
    advice: Recommendation
    sweeps: Sequence[Sweep]
    voted: Voted
    labels: Sequence[LabelLine]
    coverage: dict[str, list[float]]
    calibration: dict[str, list[Bin]]
    points: Array
    mapped: Ints
    queries: Sequence[Query]
    k: int


def find(study: Study, outcome: StudyOutcome) -> Findings:
    """Everything; needs one method on the largest slice at least."""
    largest, truth = study.design.largest, study.targets[study.parts.test]
    table = sorted((run for run in outcome.runs if run.size == largest), key=lambda run: -run.validation)
    predicted = {run.method: outcome.answers[run.method].test >= run.common for run in table}
    measured = curves(outcome)
    advice = advise(table, predicted, truth, measured)
    best = advice.best
    voters = FittedNeighbours(study.task(largest, study.design.seeds[0]))
    voted = _voted(study, voters)
    mapped = np.arange(len(study.targets))[-MAPPED:]
    shown = [best.method, *(name for name in ("adapted",) if name in predicted and name != best.method)]
    return Findings(
        table=table,
        curves=measured,
        advice=advice,
        sweeps=[_sweep(study, outcome, run) for run in table if not outcome.learns[run.method]],
        voted=voted,
        labels=_labels(study.material.data.names, truth, outcome.answers[best.method].test, best),
        coverage={
            run.method: [
                round(precision_at_coverage(truth, outcome.answers[run.method].test, share), 4)
                for share in COVERAGES
            ]
            for run in table
        },
        calibration={name: reliability(truth, outcome.answers[name].test) for name in shown},
        points=_map(study.material.vectors[mapped]),
        mapped=mapped,
        queries=_queries(study, voters, predicted[best.method], voted.micro_at[0]),
        k=voted.micro_at[0],
    )


def _sweep(study: Study, outcome: StudyOutcome, run: StudyRun) -> Sweep:
    answers = outcome.answers[run.method]
    truth = {part: study.targets[getattr(study.parts, part)] for part in ("validation", "test")}
    threshold = threshold_sweep(truth["validation"], answers.validation)
    top_k = top_k_sweep(truth["validation"], answers.validation)
    on_test = top_k_sweep(truth["test"], answers.test)
    return Sweep(
        method=run.method,
        threshold=threshold,
        top_k=top_k,
        test_threshold=round(micro_f1(truth["test"], answers.test >= threshold.best()[0]), 4),
        test_top_k=on_test.micro_at(top_k.best()[0]),
        test_top_3=on_test.micro_at(TOP) if TOP in on_test.at else None,
    )


def _voted(study: Study, voters: FittedNeighbours) -> Voted:
    rows = study.rows(study.design.largest, study.design.seeds[0])
    known, parts = study.targets[rows], study.parts
    grid = neighbour_sweep(voters.near(study.validation), known, study.targets[parts.validation], FLOORS)
    micro_at, macro_at = grid.best(grid.micro), grid.best(grid.macro)
    tested = neighbour_sweep(voters.near(study.test), known, study.targets[parts.test], FLOORS)

    def there(measure: Array, at: tuple[int, int, float]) -> float:
        return round(float(measure[at[0] - 1, at[1] - 1, FLOORS.index(at[2])]), 4)

    return Voted(
        grid,
        micro_at,
        macro_at,
        there(tested.micro, micro_at),
        there(tested.macro, macro_at),
    )


def _labels(names: Sequence[str], truth: Mask, scores: Array, run: StudyRun) -> list[LabelLine]:
    lines, predicted = [], scores >= run.common
    own = f1_per_label(truth, scores >= np.array(run.per_label))
    for j, name in enumerate(names):
        hits = int((truth[:, j] & predicted[:, j]).sum())
        precision, recall = hits / max(1, int(predicted[:, j].sum())), hits / max(1, int(truth[:, j].sum()))
        missed = truth[:, j] & ~predicted[:, j]
        instead = (predicted & ~truth)[missed].sum(axis=0)
        other = int(instead.argmax())
        times = int(instead[other])
        f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
        support = int(truth[:, j].sum())
        lines.append(
            LabelLine(
                name,
                support,
                round(precision, 4),
                round(recall, 4),
                round(f1, 4),
                round(float(own[j]), 4),
                round(run.per_label[j], 4),
                names[other] if times else "",
                times,
            )
        )
    return sorted(lines, key=lambda line: (-line.support, line.name))


def _map(vectors: Floats) -> Array:
    """Two dimensions by t-SNE, seed 0 (van der Maaten and Hinton, 2008)."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    dense = PCA(min(COMPONENTS, *vectors.shape), random_state=0).fit_transform(vectors)
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    flat = TSNE(init="pca", random_state=0, perplexity=perplexity, metric="cosine", max_iter=STEPS)
    # Where other work holds the cores, several threads wait for one another most of the time.
    with threadpool_limits(1):
        found: Array = flat.fit_transform(dense)
    return found


def _queries(study: Study, voters: FittedNeighbours, predicted: Mask, k: int) -> list[Query]:
    """Issues spread over the test part."""
    names, rows = study.material.data.names, study.rows(study.design.largest, study.design.seeds[0])
    at = np.unique(np.linspace(0, len(study.test) - 1, EXAMPLES).astype(int))
    near = voters.near(study.material.texts(study.parts.test[at]))
    found = []
    for place, similarities, nearest in zip(at.tolist(), near.similarities, near.rows, strict=True):
        row = int(study.parts.test[place])
        among = [
            (round(float(s), 3), int(rows[i]))
            for s, i in zip(similarities[:k], nearest[:k], strict=True)
            if i >= 0
        ]
        votes = Counter(name for _, i in among for name in study.material.data.issues[i].labels)
        found.append(
            Query(
                row,
                study.material.data.issues[row].labels,
                tuple(names[j] for j in np.flatnonzero(predicted[place]).tolist()),
                tuple(among),
                dict(votes.most_common()),
            )
        )
    return found
