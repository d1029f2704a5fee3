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
from triage.errors import TriageError
from triage.progress import duration
from triage.study.data import StudyData
from triage.study.protocol import LabellingTask, Method, PreparingMethod, Texts
from triage.study.results import Answers, Results, StudyRun
from triage.study.run import LabelledTexts, measure
from triage.study.splits import Parts, slices
from triage.text import TEXT_VERSION

# Raise it with any change to what a run means: kept runs of another version count as none.
VERSION = 1
# So many queries are scored before anything else, to tell how long all of them would take.
PROBE = 8
_LEARN = ("faiss", "scipy.linalg", "scipy.stats", "sklearn.feature_extraction.text", "sklearn.linear_model")
WARM: Mapping[str, Sequence[str]] = {"learn": _LEARN, "train": (*_LEARN, "torch", "transformers")}


@dataclass(frozen=True)
class Design:
    """What is measured: training slices of these `sizes`, the largest of them everything, under these `seeds`.

    `budget` in seconds is for all methods together (None: as long as it takes).
    """

    sizes: Sequence[int]
    seeds: Sequence[int]
    budget: float | None = None

    @property
    def largest(self) -> int:
        return max(self.sizes)

    def seeds_of(self, size: int) -> Sequence[int]:
        """Of everything there is one slice, so it is measured once."""
        return self.seeds[:1] if size == self.largest else self.seeds


@dataclass
class StudyOutcome:
    """All runs; `left_out` says of a method by name why it, or a part of its slices, was not measured.

    `answers` are those of each method's run on the largest slice that it was measured on.
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


Listener = Callable[[StudyRun, bool], None]


@dataclass(frozen=True)
class Study:
    """Material and design; `results` remember."""

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
        """The rows that are learnt from."""
        return self._slices[seed][size]

    def task(self, size: int, seed: int) -> LabellingTask:
        """What a method gets to see: nothing of the validation and test parts."""
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

    def run(self, methods: Mapping[str, Method], listener: Listener | None = None) -> StudyOutcome:
        """Measure these methods, by name; cheap ones should come first, as what they leave of the budget is others'."""
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
                for run, answers, fresh in self._ladder(name, method, share, outcome.left_out):
                    outcome.runs.append(run)
                    if answers:
                        outcome.answers[name] = answers
                    if listener:
                        listener(run, fresh)
            except TriageError as error:
                outcome.left_out[name] = error.what
        return outcome

    def _ladder(
        self, name: str, method: Method, share: float, left_out: dict[str, str]
    ) -> Iterator[tuple[StudyRun, Answers | None, bool]]:
        """(run, its answers where no larger slice was measured, whether it is new), everything first.

        Where that does not fit the share of the budget, the smaller slices as far as they do.
        """
        until, before, reached = time.monotonic() + share, None, 0
        for size, seed in self._cells(method):
            key = self.key(method, size, seed)
            run = self.results.get(key)
            fresh = run is None
            if run is None and share < float("inf"):
                needed, left = self._guess(method, size, seed, before), until - time.monotonic()
                if needed > left:
                    left_out[name] = _too_long(size, self.design.largest, needed, left)
                    if size == self.design.largest:
                        continue
                    return
            answers = None
            if run is None:
                run, answers = measure(method, self.task(size, seed), *self._asked)
                self.results.put(key, run, answers if size >= reached else None)
            elif size >= reached:
                answers = self.results.answers(key)
            before, reached = run, max(reached, size)
            yield replace(run, method=name), answers if size >= reached else None, fresh

    def cells(self, method: Method) -> int:
        """How many runs the method takes."""
        return sum(1 for _ in self._cells(method))

    def _cells(self, method: Method) -> Iterator[tuple[int, int]]:
        """(size, seed), everything first; what learns nothing from labels is measured on everything alone."""
        largest = self.design.largest
        rest = [size for size in self.design.sizes if size != largest] if method.learns else []
        for size in (largest, *rest):
            yield from ((size, seed) for seed in self.design.seeds_of(size))

    def _guess(self, method: Method, size: int, seed: int, before: StudyRun | None) -> float:
        """Seconds that a run will take, by an earlier one, else by the smallest slice and a few queries."""
        if before:
            return before.fit_seconds * max(0.1, size / before.size) + before.score_seconds
        smallest = min(self.design.sizes)
        task = self.task(smallest, seed)
        if isinstance(method, PreparingMethod):
            method.prepare(task)
        start = time.monotonic()
        fitted = method.fit(task)
        learnt = time.monotonic()
        few = self.material.texts(self.parts.validation[:PROBE])
        fitted.scores(few)
        scored = time.monotonic()
        queries = len(self.validation) + len(self.test)
        growth = size / smallest if method.learns else 1.0
        return (learnt - start) * growth + (scored - learnt) * queries / len(few)


def _warm(needs: str) -> None:
    """Import what takes seconds and many megabytes, so that the first method does not pay for the others."""
    for name in WARM[needs]:
        importlib.import_module(name)


@dataclass
class _Deadline:
    budget: float | None
    started: float = field(default_factory=time.monotonic)

    def share(self, methods: int) -> float:
        """An equal part of what is left for each method that is still to come."""
        if self.budget is None:
            return float("inf")
        return max(0.0, self.budget - (time.monotonic() - self.started)) / methods


def _too_long(size: int, largest: int, needed: float, left: float) -> str:
    what = "all" if size == largest else "slices of"
    return (
        f"{what} {size} labelled issues would take about {duration(needed)}, "
        f"and {duration(max(0.0, left))} of the budget are left for it"
    )
