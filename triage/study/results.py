"""What was measured, kept by the hash of what it was measured on: a study that was killed goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from triage.arrays import AnyArray, Array, Mask
from triage.files import replacing, write
from triage.schema import SchemaError, build


@dataclass(frozen=True)
class StudyRun:
    """One method, fitted on one slice under one seed, judged on the test part.

    `setting` was chosen on validation ("": none), as were the thresholds, with micro-F1 `validation` there.
    `one`, `each` and `own` are the figures of `metrics.summary` by one threshold, by one for each label and by
    the method's own rules (empty: it has none). Times are of the fit and of scoring `queries` issues, by the clock
    and of the processor; `memory` in MB above the start (None: not known).
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
    """Scores on validation and test, [v, L] and [t, L], and what the method would label by itself (None: no rules)."""

    validation: Array
    test: Array
    own: Mask | None = None


class Results:
    """A folder of runs by key; the answers of those that the report draws from lie beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> StudyRun | None:
        """The run, or None where there is none or it was damaged."""
        try:
            found: StudyRun = build(StudyRun, json.loads(self._path(key, "json").read_text("utf-8")))
        except (OSError, ValueError, SchemaError):
            return None
        return found

    def answers(self, key: str) -> Answers | None:
        """The answers of the run, or None."""
        try:
            with np.load(self._path(key, "npz"), allow_pickle=False) as held:
                own = held.get("own")
                return Answers(held["validation"].astype(float), held["test"].astype(float), own)
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
