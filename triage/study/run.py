"""One run of a method: fitted on a task, thresholds and setting chosen on validation, judged on test.

Scores become labels in the same way for every method: by the thresholds of best F1 on the validation part. Runs are
kept by the hash of what they were measured on, so that a killed study resumes.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from triage.arrays import AnyArray, Array, Mask
from triage.files import replacing, write
from triage.learn.tune import best_cut
from triage.metrics import summary
from triage.schema import SchemaError, build
from triage.study.protocol import Fitted, LabellingTask, Method, Texts


@dataclass(frozen=True)
class StudyRun:
    """One method, fitted on one slice under one seed, judged on the test part.

    `setting` was chosen on validation ("": none), as were the thresholds, with micro-F1 `validation` there. `one`,
    `each` and `own` are the figures of `metrics.summary` by one threshold, by one for each label and by the method's
    own rules (empty: it has none). Seconds are of the fit and of scoring `queries` issues, by the clock and of the
    processor; `memory` in MB above the start (None: unknown).
    """

    method: str
    size: int
    seed: int
    setting: str
    validation: float
    common: float
    per_label: tuple[float, ...]
    one: dict[str, float]
    each: dict[str, float]
    own: dict[str, float]
    fit_seconds: float
    score_seconds: float
    fit_cpu: float
    score_cpu: float
    queries: int
    memory: float | None = None
    remarks: str = ""


@dataclass(frozen=True)
class Answers:
    """Scores on validation and test, [v, L] and [t, L], and the labels by the method's own rules (None: no rules)."""

    validation: Array
    test: Array
    own: Mask | None = None


@dataclass(frozen=True)
class LabelledTexts:
    """Issues that a method is asked about, and the labels they carry, [q, L], which the method does not see."""

    texts: Texts
    truth: Mask


def measure(
    method: Method, task: LabellingTask, validation: LabelledTexts, test: LabelledTexts
) -> tuple[StudyRun, Answers]:
    """The run of a method on a task; raises what its `fit` raises."""
    with metered() as learning:
        fitted = method.fit(task)
    with metered() as asking:
        setting, on_validation, on_test = _scores(fitted, validation, test.texts)
    own = fitted.decided(test.texts)
    thresholds, f1 = choose(validation.truth, on_validation)
    peaks = [cost.memory for cost in (learning, asking) if cost.memory is not None]
    run = StudyRun(
        method=method.name,
        size=len(task.labelled),
        seed=task.seed,
        setting=setting,
        validation=round(f1, 4),
        common=thresholds.common,
        per_label=tuple(map(float, thresholds.per_label)),
        one=summary(test.truth, thresholds.one(on_test), on_test),
        each=summary(test.truth, thresholds.each(on_test), on_test),
        own={} if own is None else summary(test.truth, own, on_test),
        fit_seconds=round(learning.seconds, 4),
        score_seconds=round(asking.seconds, 4),
        fit_cpu=round(learning.cpu, 4),
        score_cpu=round(asking.cpu, 4),
        queries=len(validation.texts) + len(test.texts),
        memory=round(max(peaks), 1) if peaks else None,
        remarks=method.remarks,
    )
    return run, Answers(on_validation, on_test, own)


def _scores(fitted: Fitted, validation: LabelledTexts, test: Texts) -> tuple[str, Array, Array]:
    """(setting, scores on validation, scores on test); a setting is chosen by validation micro-F1."""
    choices = {setting: _rounded(scores) for setting, scores in fitted.choices(validation.texts).items()}
    best = max(choices, key=lambda setting: round(choose(validation.truth, choices[setting])[1], 4))
    return best, choices[best], _rounded(fitted.choices(test)[best])


def _rounded(scores: Array) -> Array:
    """Rounded, so that kept and fresh scores compare alike; not a number counts as least likely."""
    return np.asarray(np.round(np.nan_to_num(scores, nan=0.0), 7), dtype=np.float64)


@dataclass(frozen=True)
class Thresholds:
    """One for all labels, and one for each, [L]; a label is set where its score reaches it."""

    common: float
    per_label: Array

    def one(self, scores: Array) -> Mask:
        """Labels by the common threshold."""
        return np.asarray(scores >= self.common)

    def each(self, scores: Array) -> Mask:
        """Labels by their own thresholds."""
        return np.asarray(scores >= self.per_label)


def choose(truth: Mask, scores: Array) -> tuple[Thresholds, float]:
    """The thresholds, and the micro-F1 that the common one reaches; a label that never occurs gets the common one."""
    common, f1 = best_cut(scores.ravel(), truth.ravel())
    own = [
        best_cut(scores[:, j], truth[:, j])[0] if truth[:, j].any() else common for j in range(truth.shape[1])
    ]
    return Thresholds(float(common), np.array(own)), float(f1)


class Results:
    """A folder of runs by key; the answers of those that the report draws from are stored with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> StudyRun | None:
        """The run, or None where there is none or it is damaged."""
        try:
            run: StudyRun = build(StudyRun, json.loads(self._path(key, "json").read_text("utf-8")))
        except (OSError, ValueError, SchemaError):
            return None
        return run

    def answers(self, key: str) -> Answers | None:
        """The answers of the run, or None."""
        try:
            with np.load(self._path(key, "npz"), allow_pickle=False) as arrays:
                own = arrays.get("own")
                return Answers(arrays["validation"].astype(float), arrays["test"].astype(float), own)
        except (OSError, ValueError, KeyError, EOFError):
            return None

    def put(self, key: str, run: StudyRun, answers: Answers | None) -> None:
        """Keep a run; whole or not at all."""
        if answers:
            arrays: Mapping[str, AnyArray] = {
                "validation": answers.validation,
                "test": answers.test,
                **({} if answers.own is None else {"own": answers.own}),
            }
            with replacing(self._path(key, "npz")) as file:
                np.savez_compressed(file, **arrays)  # type: ignore[arg-type] # its stubs want booleans
        write(self._path(key, "json"), json.dumps(asdict(run)).encode())

    def _path(self, key: str, ending: str) -> Path:
        return self.folder / f"{key}.{ending}"


STATM = Path("/proc/self/statm")
SECONDS_BETWEEN_LOOKS = 0.02


@dataclass
class Resources:
    """The cost of a piece of work: `seconds` by the clock, `cpu` of all cores, which depends little on other load.

    `memory` in MB above what was in use at the start (None: unknown on this system).
    """

    seconds: float = 0.0
    cpu: float = 0.0
    memory: float | None = None


@contextmanager
def metered() -> Iterator[Resources]:
    """Fills in what it yields when the work is done; memory is sampled every 20 ms."""
    cost, done, start = Resources(), threading.Event(), _resident()
    peak = [start]

    def watch() -> None:
        while not done.wait(SECONDS_BETWEEN_LOOKS):
            peak[0] = max(peak[0] or 0.0, _resident() or 0.0)

    watcher = threading.Thread(target=watch, daemon=True) if start is not None else None
    if watcher:
        watcher.start()
    began, worked = time.perf_counter(), time.process_time()
    try:
        yield cost
    finally:
        cost.seconds, cost.cpu = time.perf_counter() - began, time.process_time() - worked
        done.set()
        if watcher and start is not None:
            watcher.join()
            cost.memory = max(0.0, max(peak[0] or 0.0, _resident() or 0.0) - start)


def _resident() -> float | None:
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError, IndexError):
        return None
