"""The product itself: `triage retrain` learns a bundle from the labelled issues, and `decide` scores with it.

Nothing is rebuilt here: the bundle comes from `triage.learn.retrain.learn` and is opened as labelling opens it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from triage.bundle.model import CHUNK, ServingModel, open_model
from triage.decide import Decision, Policy, judge
from triage.evaluate.method import Array, Floats, Mask, Means, Task, Texts, Told
from triage.issue import Issue
from triage.learn.dataset import Dataset
from triage.learn.retrain import Occasion, learn

REPO = "study/of"
START = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Rendered(Issue):
    """An issue of which the rendered text alone is known; it stands in `body`."""

    @property
    def text(self) -> str:
        return self.body


class Adapted:
    """See `triage.evaluate.method.Method`."""

    name = "nearest neighbours, adapted"
    needs = "learn"
    learns = True
    tuned = False

    def __init__(self, means: Means) -> None:
        self._means = means
        config, engines = means.config, means.engines
        settings = json.dumps(
            [asdict(part) for part in (config.vote, config.zero_shot, config.labels)], default=str
        )
        self._settings = f"{engines.encoder.digest} {engines.zero_shot.digest} {means.dated} {settings}"
        self.identity = f"product 1 {self._settings}"

    def unavailable(self) -> str:
        """Never: the engines are open."""
        return ""

    def fit(self, task: Task) -> FittedAdapted:
        """The bundle that a retraining on these issues would make. Raises DataError without any label."""
        issues = [
            Rendered(
                repo=REPO,
                number=row + 1,
                title="",
                body=text,
                created_at=START + timedelta(hours=row) if self._means.dated else None,
                labels=tuple(task.names[j] for j in np.flatnonzero(task.targets[row]).tolist()),
            )
            for row, text in enumerate(task.labelled.texts)
        ]
        data = Dataset(issues, task.names, task.targets, {})
        model = self._model(data, task.labelled.vectors)
        return FittedAdapted(model, Policy.of(self._means.config), task.names, len(issues), self.tuned)

    def _model(self, data: Dataset, vectors: Floats) -> ServingModel:
        config, engines = self._means.config, self._means.engines
        learnt = learn(data, vectors, config, engines, Occasion(START.isoformat()))
        return open_model(
            learnt.bundle, "study", engines.encoder, engines.zero_shot, config.labels.descriptions
        )


@dataclass(frozen=True)
class FittedAdapted:
    """An opened bundle and the policy; `known` issues are in its index, `tuned` tells of an encoder of its own."""

    model: ServingModel
    policy: Policy
    names: Sequence[str]
    known: int
    tuned: bool = False

    def decisions(self, queries: Texts, progress: Told | None = None) -> Iterator[Decision]:
        """What labelling would decide on each, as if it had just come in."""
        for start in range(0, len(queries), CHUNK):
            texts = queries.texts[start : start + CHUNK]
            issues = [Rendered(REPO, self.known + start + i + 1, "", text) for i, text in enumerate(texts)]
            vectors = queries.vectors[start : start + CHUNK]
            found = self.model.evidence_of(
                issues, self.model.encoder.encode(texts) if self.tuned else vectors
            )
            for evidence in found:
                yield judge(evidence, self.model.rules, self.policy, bundle=self.model.name)
            if progress:
                progress(start + len(texts))

    def scores(self, queries: Texts, progress: Told | None = None) -> Array:
        """See `triage.evaluate.method.Fitted`; 0 for a label of which nothing is known."""
        rows = [
            [decision.scores.get(name, 0.0) for name in self.names]
            for decision in self.decisions(queries, progress)
        ]
        return np.array(rows, dtype=float).reshape(len(queries), len(self.names))

    def decided(self, queries: Texts) -> Mask:
        """See `triage.evaluate.method.Deciding`."""
        rows = [[name in decision.labels for name in self.names] for decision in self.decisions(queries)]
        return np.array(rows, dtype=bool).reshape(len(queries), len(self.names))


def make(means: Means) -> Adapted:
    """The method, under the configuration."""
    return Adapted(means)
