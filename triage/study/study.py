"""The study: every method on every slice under every seed, thresholds chosen on validation, judged once on test."""

from __future__ import annotations

import hashlib
import importlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from triage.arrays import Ints, Mask
from triage.console import duration, stage
from triage.errors import TriageError
from triage.study.data import Parts, StudyData, slices
from triage.study.protocol import LabellingTask, Method, Texts
from triage.study.run import Answers, LabelledTexts, Results, StudyRun, measure
from triage.text import TEXT_VERSION

# Raise it with any change to the meaning of a run: kept runs of another version count as none.
VERSION = 1
# Queries scored beforehand, to estimate how long all of them would take.
PROBE = 8
_LEARN = ("faiss", "scipy.linalg", "scipy.stats", "sklearn.feature_extraction.text", "sklearn.linear_model")
WARM: Mapping[str, Sequence[str]] = {"learn": _LEARN, "train": (*_LEARN, "torch", "transformers")}


@dataclass(frozen=True)
class Design:
    """Training slices of these `sizes`, the largest of them everything, each drawn under these `seeds`.

    `budget` in seconds is for all methods together (None: no bound).
    """

    sizes: Sequence[int]
    seeds: Sequence[int]
    budget: float | None = None

    @property
    def largest(self) -> int:
        return max(self.sizes)

    def seeds_of(self, size: int) -> Sequence[int]:
        """There is only one slice of everything, so it is measured once."""
        return self.seeds[:1] if size == self.largest else self.seeds


@dataclass
class StudyOutcome:
    """All runs; `left_out` gives the reason why a method, or some of its slices, were not measured.

    `answers` are those of each method's run on its largest measured slice.
    """

    runs: list[StudyRun] = field(default_factory=list)
    answers: dict[str, Answers] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    learns: dict[str, bool] = field(default_factory=dict)
    needs: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)

    def at(self, method: str, size: int) -> list[StudyRun]:
        """The runs of a method on slices of this size."""
        return [run for run in self.runs if (run.method, run.size) == (method, size)]


OnRun = Callable[[StudyRun], None]


@dataclass(frozen=True)
class Study:
    """Data and design; `results` keep the runs."""

    material: StudyData
    design: Design
    descriptions: Mapping[str, str]
    results: Results

    @property
    def parts(self) -> Parts:
        return self.material.parts

    @property
    def targets(self) -> Mask:
        return self.material.data.targets

    @cached_property
    def validation(self) -> Texts:
        return self.material.texts(self.parts.validation)

    @cached_property
    def test(self) -> Texts:
        return self.material.texts(self.parts.test)

    @property
    def _asked(self) -> tuple[LabelledTexts, LabelledTexts]:
        return (
            LabelledTexts(self.validation, self.targets[self.parts.validation]),
            LabelledTexts(self.test, self.targets[self.parts.test]),
        )

    @cached_property
    def unlabelled(self) -> Texts:
        return self.material.without_labels()

    @cached_property
    def _slices(self) -> Mapping[int, Mapping[int, Ints]]:
        return {
            seed: slices(self.targets, self.parts.train, self.design.sizes, seed)
            for seed in self.design.seeds
        }

    def rows(self, size: int, seed: int) -> Ints:
        """The rows of a training slice."""
        return self._slices[seed][size]

    def task(self, size: int, seed: int) -> LabellingTask:
        """What a method sees: nothing of the validation and test parts."""
        rows = self.rows(size, seed)
        return LabellingTask(
            names=self.material.data.names,
            labelled=self.material.texts(rows),
            targets=self.targets[rows],
            unlabelled=self.unlabelled,
            descriptions=self.descriptions,
            seed=seed,
        )

    def key(self, method: Method, size: int, seed: int) -> str:
        """The hash of everything that a run depends on."""
        parts = [self.rows(size, seed), self.parts.validation, self.parts.test]
        what = [
            [VERSION, TEXT_VERSION, self.material.digest, method.name, method.identity, size, seed],
            [hashlib.sha256(part.astype("<i8").tobytes()).hexdigest() for part in parts],
            [len(self.unlabelled), sorted(self.descriptions.items())],
        ]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]

    def run(self, methods: Mapping[str, Method], on_run: OnRun | None = None) -> StudyOutcome:
        """Measure these methods, by name; cheap ones should come first, since the rest share the budget they leave."""
        outcome, deadline = StudyOutcome(), _Deadline(self.design.budget)
        for place, (name, method) in enumerate(methods.items()):
            if why := method.unavailable():
                outcome.left_out[name] = why
                continue
            outcome.learns[name], outcome.needs[name] = method.learns, method.needs
            outcome.titles[name] = method.name
            _warm(method.needs)
            share = deadline.share(len(methods) - place)
            try:
                for run, answers in self._ladder(name, method, share, outcome.left_out):
                    outcome.runs.append(run)
                    if answers:
                        outcome.answers[name] = answers
                    if on_run:
                        on_run(run)
            except TriageError as error:
                outcome.left_out[name] = error.what
        return outcome

    def _ladder(
        self, name: str, method: Method, share: float, left_out: dict[str, str]
    ) -> Iterator[tuple[StudyRun, Answers | None]]:
        """(run, its answers where no larger slice was measured), everything first.

        Where that does not fit the share of the budget, the smaller slices as far as they do.
        """
        until, before, reached = time.monotonic() + share, None, 0
        for size, seed in self._cells(method):
            key = self.key(method, size, seed)
            run = self.results.get(key)
            if run is None and share < float("inf"):
                needed, left = self._guess(method, size, seed, before), until - time.monotonic()
                if needed > left:
                    left_out[name] = _too_long(size, self.design.largest, needed, left)
                    if size == self.design.largest:
                        continue
                    return
            answers = None
            if run is None:
                with stage(f"evaluating {name} on {size} issues"):
                    run, answers = measure(method, self.task(size, seed), *self._asked)
                self.results.put(key, run, answers if size >= reached else None)
            elif size >= reached:
                answers = self.results.answers(key)
            before, reached = run, max(reached, size)
            yield replace(run, method=name), answers if size >= reached else None

    def cells(self, method: Method) -> int:
        """How many runs the method takes."""
        return sum(1 for _ in self._cells(method))

    def _cells(self, method: Method) -> Iterator[tuple[int, int]]:
        """(size, seed), everything first; a method that needs no labels is measured on everything only."""
        largest = self.design.largest
        rest = [size for size in self.design.sizes if size != largest] if method.learns else []
        for size in (largest, *rest):
            yield from ((size, seed) for seed in self.design.seeds_of(size))

    def _guess(self, method: Method, size: int, seed: int, before: StudyRun | None) -> float:
        """Estimated seconds of a run, from an earlier one, else from the smallest slice and a few queries."""
        if before:
            return before.fit_seconds * max(0.1, size / before.size) + before.score_seconds
        smallest = min(self.design.sizes)
        task = self.task(smallest, seed)
        with stage(f"preparing {method.name}"):
            method.prepare(task)
        start = time.monotonic()
        fitted = method.fit(task)
        learnt = time.monotonic()
        few = self.material.texts(self.parts.validation[:PROBE])
        fitted.choices(few)
        scored = time.monotonic()
        queries = len(self.validation) + len(self.test)
        growth = size / smallest if method.learns else 1.0
        return (learnt - start) * growth + (scored - learnt) * queries / len(few)


def _warm(needs: str) -> None:
    """Import large libraries, so that their time and memory do not count for the first method that uses them."""
    for name in WARM[needs]:
        importlib.import_module(name)


@dataclass
class _Deadline:
    budget: float | None
    started: float = field(default_factory=time.monotonic)

    def share(self, methods: int) -> float:
        """An equal part of the time left for each remaining method."""
        if self.budget is None:
            return float("inf")
        return max(0.0, self.budget - (time.monotonic() - self.started)) / methods


def _too_long(size: int, largest: int, needed: float, left: float) -> str:
    what = "all" if size == largest else "slices of"
    return (
        f"{what} {size} labelled issues would take about {duration(needed)}, "
        f"and {duration(max(0.0, left))} of the budget are left for it"
    )
