"""What the report shows, computed once from the runs: learning curves, recommendation, sweeps, labels and examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from triage.arrays import Array, Floats, Ints, Mask
from triage.metrics import Bin, bootstrap, f1, f1_per_label, micro_f1, precision_at_coverage, reliability
from triage.study.methods.neighbours import FittedNeighbours
from triage.study.run import StudyRun
from triage.study.study import Study, StudyOutcome
from triage.study.sweeps import FLOORS, Grid, SweepLine, neighbour_sweep, threshold_sweep, top_k_sweep


@dataclass(frozen=True)
class Point:
    """The mean over `runs` seeds, and the least and greatest of them."""

    size: int
    mean: float
    least: float
    greatest: float
    runs: int


@dataclass(frozen=True)
class Curve:
    """One method; a zero-shot method has one point, the same for every size."""

    method: str
    learns: bool
    micro: tuple[Point, ...]
    macro: tuple[Point, ...]

    def micro_at(self, size: int) -> float | None:
        """Mean micro-F1 with that many labelled issues; None where it was not measured."""
        if not self.learns:
            return self.micro[0].mean
        return next((point.mean for point in self.micro if point.size == size), None)


def curves(outcome: StudyOutcome) -> list[Curve]:
    """Micro-F1 with the common threshold, macro-F1 with a threshold for each label, in the order of measuring."""
    names = list(dict.fromkeys(run.method for run in outcome.runs))
    return [_curve(name, outcome) for name in names]


def _curve(name: str, outcome: StudyOutcome) -> Curve:
    sizes = sorted({run.size for run in outcome.runs if run.method == name})

    def point(size: int, values: Sequence[float]) -> Point:
        return Point(size, round(float(np.mean(values)), 4), min(values), max(values), len(values))

    return Curve(
        name,
        outcome.learns.get(name, True),
        tuple(point(size, [run.one["micro_f1"] for run in outcome.at(name, size)]) for size in sizes),
        tuple(point(size, [run.each["macro_f1"] for run in outcome.at(name, size)]) for size in sizes),
    )


# A method within this much of the best micro-F1 counts as equally good.
CLOSE = 0.02


@dataclass(frozen=True)
class PairedDifference:
    """Ours minus theirs in micro-F1, and its 95% interval."""

    gain: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether ours is better: the whole interval is above zero."""
        return self.low > 0

    @property
    def against(self) -> bool:
        """Whether theirs is better: the whole interval is below zero."""
        return self.high < 0


def paired(truth: Mask, ours: Mask, theirs: Mask) -> PairedDifference:
    """Both judged on the same issues [n, L], in bootstrap resamples of them."""
    drawn = bootstrap(len(truth))
    low, high = np.quantile(_f1(truth, ours, drawn) - _f1(truth, theirs, drawn), (0.025, 0.975))
    return PairedDifference(micro_f1(truth, ours) - micro_f1(truth, theirs), float(low), float(high))


def _f1(truth: Mask, predicted: Mask, drawn: Ints) -> Array:
    """Micro-F1 of each resample of issues [draws, n]."""
    counts = (count.sum(axis=1)[drawn].sum(axis=1) for count in (truth & predicted, predicted, truth))
    return f1(*counts)


@dataclass(frozen=True)
class Rival:
    """Another method on the largest slice, compared with the recommended one."""

    run: StudyRun
    difference: PairedDifference


@dataclass(frozen=True)
class Recommendation:
    """`best` has the highest micro-F1 on validation; `rivals` are the others, in that order.

    With `enough` labelled issues (None: only with all) it comes within CLOSE of its result with all; `growth` is the
    gain of the last doubling (None: not measured). `cold` is the zero-shot method that is better with fewer than
    `until` labelled issues.
    """

    best: StudyRun
    rivals: tuple[Rival, ...]
    enough: int | None
    growth: float | None
    cold: str = ""
    until: int | None = None

    @property
    def as_good(self) -> list[StudyRun]:
        """Methods that the recommended one is not surely better than, the fastest first."""
        near = [rival.run for rival in self.rivals if not rival.difference.sure]
        return sorted(near, key=lambda run: run.fit_seconds + run.score_seconds)


def advise(
    runs: Sequence[StudyRun], predicted: dict[str, Mask], truth: Mask, measured: Sequence[Curve]
) -> Recommendation:
    """From each method's run on the largest slice, its labels on test [t, L] by name, and the learning curves."""
    ranked = sorted(runs, key=lambda run: -run.validation)
    best, others = ranked[0], ranked[1:]
    rivals = tuple(Rival(run, paired(truth, predicted[best.method], predicted[run.method])) for run in others)
    curve = next(curve for curve in measured if curve.method == best.method)
    means = [(point.size, point.mean) for point in curve.micro]
    enough = next((size for size, mean in means if mean >= means[-1][1] - CLOSE), None)
    before = [mean for size, mean in means if size <= means[-1][0] // 2]
    cold, until = _cold(curve, measured)
    return Recommendation(
        best=best,
        rivals=rivals,
        enough=enough if enough != means[-1][0] else None,
        growth=round(means[-1][1] - before[-1], 4) if before else None,
        cold=cold,
        until=until,
    )


def _cold(best: Curve, measured: Sequence[Curve]) -> tuple[str, int | None]:
    """(the best zero-shot method, the first size at which the recommended one is better)."""
    zero_shot = [curve for curve in measured if not curve.learns and curve.method != best.method]
    if not zero_shot or not best.learns:
        return "", None
    rival = max(zero_shot, key=lambda curve: curve.micro[0].mean)
    first = next((point.size for point in best.micro if point.mean > rival.micro[0].mean), None)
    return rival.method, first


COVERAGES = tuple(round(0.05 * i, 2) for i in range(1, 21))
# The chapter's number of labels for each issue, which a threshold should beat.
TOP = 3
EXAMPLES = 4
MAPPED = 600
STEPS = 500
# Principal components that t-SNE gets; more only cost time.
COMPONENTS = 50


@dataclass(frozen=True)
class Sweep:
    """A zero-shot method: both sweeps on validation, and the best settings of each on test."""

    method: str
    threshold: SweepLine
    top_k: SweepLine
    test_threshold: float
    test_top_k: float
    test_top_3: float | None


@dataclass(frozen=True)
class Voted:
    """The grid of k, m and floor on validation, its best settings, and the first of these on test."""

    grid: Grid
    micro_at: tuple[int, int, float]
    macro_at: tuple[int, int, float]
    micro_on_test: float


@dataclass(frozen=True)
class LabelLine:
    """One label on test, by the recommended method with one threshold; `own_f1` with the label's own.

    `confused` is the wrong label that is set most often where this one is missed, `times` times.
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
    """All of them; at least one method must have been measured on the largest slice."""
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
    k, m, floor = grid.best(grid.micro)
    tested = neighbour_sweep(voters.near(study.test), known, study.targets[parts.test], FLOORS)

    on_test = round(float(tested.micro[k - 1, m - 1, FLOORS.index(floor)]), 4)
    return Voted(grid, (k, m, floor), grid.best(grid.macro), on_test)


def _labels(names: Sequence[str], truth: Mask, scores: Array, run: StudyRun) -> list[LabelLine]:
    lines, predicted = [], scores >= run.common
    hits, support = (truth & predicted).sum(axis=0), truth.sum(axis=0)
    figures: dict[str, Array] = {
        "precision": hits / np.maximum(1, predicted.sum(axis=0)),
        "recall": hits / np.maximum(1, support),
        "f1": f1_per_label(truth, predicted),
        "own_f1": f1_per_label(truth, scores >= np.array(run.per_label)),
        "threshold": np.array(run.per_label),
    }
    for j, name in enumerate(names):
        missed = truth[:, j] & ~predicted[:, j]
        instead = (predicted & ~truth)[missed].sum(axis=0)
        other = int(instead.argmax())
        confused = names[other] if instead[other] else ""
        of_label = {key: round(float(values[j]), 4) for key, values in figures.items()}
        lines.append(
            LabelLine(name, int(support[j]), confused=confused, times=int(instead[other]), **of_label)
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
    # On a busy machine several threads spend most of their time waiting for one another.
    with threadpool_limits(1):
        return np.asarray(flat.fit_transform(dense))


def _queries(study: Study, voters: FittedNeighbours, predicted: Mask, k: int) -> list[Query]:
    """Issues spread over the test part."""
    names, rows = study.material.data.names, study.rows(study.design.largest, study.design.seeds[0])
    at = np.unique(np.linspace(0, len(study.test) - 1, EXAMPLES).astype(int))
    near = voters.near(study.material.texts(study.parts.test[at]))
    queries = []
    for place, similarities, nearest in zip(at.tolist(), near.similarities, near.rows, strict=True):
        row = int(study.parts.test[place])
        among = [
            (round(float(s), 3), int(rows[i]))
            for s, i in zip(similarities[:k], nearest[:k], strict=True)
            if i >= 0
        ]
        votes = Counter(name for _, i in among for name in study.material.data.issues[i].labels)
        queries.append(
            Query(
                row,
                study.material.data.issues[row].labels,
                tuple(names[j] for j in np.flatnonzero(predicted[place]).tolist()),
                tuple(among),
                dict(votes.most_common()),
            )
        )
    return queries
