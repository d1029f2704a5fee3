"""What the study is tested with: toy issues whose labels hang on single words, and vectors that know them a little."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from tests.clock import Clock
from tests.toy_encoder import toy_issues
from triage.arrays import Array, Floats, Mask
from triage.issue import Issue
from triage.learn.dataset import Dataset
from triage.study.data import StudyData, divide, sizes
from triage.study.protocol import Fitted, LabellingTask, Method, Texts
from triage.study.run import Results
from triage.study.study import Design, Study

NAMES = ("bug", "feature", "question")
START = datetime(2024, 1, 1, tzinfo=UTC)
DIMENSION = 384


def vectors_of(targets: Mask, *, seed: int, told: float = 1.0) -> Floats:
    """Unit vectors [n, 384]: a direction for each label, `told` times as long as the noise around it."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(targets.shape[1], DIMENSION))
    found = told * targets @ directions + rng.normal(size=(len(targets), DIMENSION))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


def material(n: int = 120, *, seed: int = 0) -> StudyData:
    """`n` labelled issues, one a day, and some without labels."""
    texts, targets = toy_issues(n, seed=seed)
    issues = [
        Issue(
            "toy/box",
            i + 1,
            f"{text} {i}",
            created_at=START + timedelta(days=i),
            labels=tuple(NAMES[j] for j in np.flatnonzero(targets[i])),
        )
        for i, text in enumerate(texts)
    ]
    quiet_texts, _ = toy_issues(20, seed=seed + 1)
    quiet = [Issue("toy/box", 1000 + i, text, created_at=START) for i, text in enumerate(quiet_texts)]
    data = Dataset(issues, NAMES, targets, {})
    blank = vectors_of(np.zeros((20, 3), bool), seed=7)
    return StudyData(data, vectors_of(targets, seed=seed), quiet, blank, divide(data))


def study(
    found: StudyData,
    folder: Path,
    *,
    given: Sequence[int] = (8, 16, 32),
    seeds: Sequence[int] = (0, 1),
    budget: float | None = None,
) -> Study:
    """A study by time with its results in the folder."""
    design = Design(sizes(len(found.parts.train), given), seeds, budget)
    return Study(found, design, {}, Results(folder))


def task(n: int = 60, *, seed: int = 0) -> LabellingTask:
    """What a method may learn from."""
    texts, targets = toy_issues(n, seed=seed)
    return LabellingTask(
        NAMES,
        Texts(texts, vectors_of(targets, seed=seed)),
        targets,
        Texts((), np.zeros((0, DIMENSION), np.float32)),
        {},
        seed,
    )


def queries(n: int = 40, *, seed: int = 5) -> tuple[Texts, Mask]:
    """Issues that nobody has learnt from, and their labels."""
    texts, targets = toy_issues(n, seed=seed)
    return Texts(texts, vectors_of(targets, seed=seed)), targets


class Counting(Method):
    """A method that scores by the share of a label among what it learnt from, and counts how often it is fitted.

    Scoring takes `slow` seconds a query of the `clock`.
    """

    def __init__(
        self,
        *,
        learns: bool = True,
        dies_at: int | None = None,
        clock: Clock | None = None,
        slow: float = 0.0,
    ) -> None:
        self.name, self.identity, self.learns = "counting", "counting 1", learns
        self.fits: list[tuple[int, int]] = []
        self._dies_at, self._clock, self._slow = dies_at, clock, slow

    def fit(self, task: LabellingTask) -> FittedCounting:
        if self._dies_at == len(self.fits):
            raise KeyboardInterrupt
        self.fits.append((len(task.labelled), task.seed))
        return FittedCounting(task.targets.mean(axis=0), self._clock, self._slow)


class FittedCounting(Fitted):
    """The shares, and a little of the vector so that scores differ."""

    def __init__(self, shares: Array, clock: Clock | None, slow: float) -> None:
        self._shares, self._clock, self._slow = shares, clock, slow

    def scores(self, queries: Texts) -> Array:
        if self._clock:
            self._clock.pass_(self._slow * len(queries))
        return np.clip(self._shares + queries.vectors[:, : len(self._shares)], 0, 1).astype(float)
