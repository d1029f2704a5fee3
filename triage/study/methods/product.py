"""The product as a method of the study: the bundle that `triage retrain` learns, scored by `decide`.

`Product` uses the shipped encoder, `ProductFinetuned` fine-tunes it on the labelled issues first (`--adapt encoder`).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from triage.arrays import Array, Floats, Ints, Mask
from triage.bundle.model import ServingModel, open_model
from triage.decide import BATCH, Decision, Policy, case_of, decide
from triage.decide.rules import BEST_F1
from triage.engine.encoder import Encoder
from triage.engine.zero_shot import open_zero_shot
from triage.issue import Issue
from triage.learn.dataset import Dataset
from triage.learn.retrain import RetrainContext, learn
from triage.study.protocol import Fitted, LabellingTask, Method, Texts

if TYPE_CHECKING:
    from triage.finetune.weights import Weights

REPO = "study/of"
START = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Rendered(Issue):
    """An issue given by its rendered text, which is in `body`."""

    @property
    def text(self) -> str:
        return self.body


def _with_files(texts: Texts) -> Iterable[tuple[str, tuple[str, ...]]]:
    return zip(texts.texts, texts.files or [()] * len(texts), strict=True)


class Product(Method):
    """The product as it is."""

    name = "nearest neighbours, adapted"
    tuned = False

    @property
    def settings(self) -> str:
        """What a bundle depends on, apart from the issues."""
        config, engines = self.context.config, self.context.engines
        parts = [asdict(part) for part in (config.vote, config.zero_shot, config.labels)]
        settings = json.dumps(parts, default=str)
        return f"{engines.encoder.digest} {engines.zero_shot.digest} {self.context.dated} {settings}"

    @cached_property
    def identity(self) -> str:
        return f"product 1 {self.settings}"

    def fit(self, task: LabellingTask) -> FittedProduct:
        """Learn the bundle that a retraining on these issues makes. Raises DataError without any label."""
        issues = [
            Rendered(
                repo=REPO,
                number=row + 1,
                title="",
                body=text,
                files=files,
                created_at=START + timedelta(hours=row) if self.context.dated else None,
                labels=tuple(task.names[j] for j in np.flatnonzero(task.targets[row]).tolist()),
            )
            for row, (text, files) in enumerate(_with_files(task.labelled))
        ]
        data = Dataset(issues, task.names, task.targets, {})
        model = self._model(data, task.labelled.vectors)
        policy = Policy.of(self.context.config)
        if policy.target is None:
            # Methods are compared by F1, and none is held to a precision.
            policy = replace(policy, target=BEST_F1)
        return FittedProduct(model, policy, task.names, len(issues), self.tuned)

    def _model(self, data: Dataset, vectors: Floats) -> ServingModel:
        config, engines = self.context.config, self.context.engines
        learnt = learn(data, vectors, config, engines, RetrainContext(START.isoformat()))
        return open_model(
            learnt.bundle, "study", engines.encoder, engines.zero_shot, config.labels.descriptions
        )


@dataclass(frozen=True)
class FittedProduct(Fitted):
    """A bundle with `known` issues, opened, and the policy; `tuned`: it has an encoder of its own."""

    model: ServingModel
    policy: Policy
    names: Sequence[str]
    known: int
    tuned: bool = False

    def decisions(self, queries: Texts) -> Iterator[Decision]:
        """The decision on each, as if it had just been opened."""
        asked = [
            Rendered(REPO, self.known + row + 1, "", text, files=files)
            for row, (text, files) in enumerate(_with_files(queries))
        ]
        for start in range(0, len(queries), BATCH):
            issues = asked[start : start + BATCH]
            vectors = queries.vectors[start : start + BATCH]
            model = self.model if self.tuned else self.model.recorded(issues, vectors)
            yield from decide(map(case_of, issues), model, self.policy)

    def scores(self, queries: Texts) -> Array:
        """See `Fitted`; 0 for unknown labels."""
        rows = [
            [decision.scores.get(name, 0.0) for name in self.names] for decision in self.decisions(queries)
        ]
        return np.array(rows, dtype=float).reshape(len(queries), len(self.names))

    def decided(self, queries: Texts) -> Mask:
        rows = [[name in decision.labels for name in self.names] for decision in self.decisions(queries)]
        return np.array(rows, dtype=bool).reshape(len(queries), len(self.names))


# Each fit tunes two encoders, one to choose the settings and one to keep.
SECONDS = 1_200.0


class ProductFinetuned(Product):
    """With an encoder of its own; a fit takes SECONDS at most unless the context says otherwise."""

    name = "nearest neighbours, fine-tuned encoder"
    needs = "train"
    tuned = True

    @property
    def seconds(self) -> float:
        """What the two trainings of a fit may take."""
        return self.context.seconds or SECONDS

    @cached_property
    def weights(self) -> Weights:
        """The weights that training starts from. Raises ModelError; ModuleNotFoundError without torch."""
        from triage.finetune.weights import find_weights

        return find_weights(self.context.models.get("weights"))

    @cached_property
    def identity(self) -> str:
        return f"tuned {self.settings} {self.weights.digest()} {self.seconds}"

    def _model(self, data: Dataset, vectors: Floats) -> ServingModel:
        from triage.finetune.fine_tune import Labelled, fine_tune, learn_tuned
        from triage.finetune.training_loop import TrainingSchedule

        config, engines = self.context.config, self.context.engines
        plan = TrainingSchedule(seconds=self.seconds / 2)
        with tempfile.TemporaryDirectory() as scratch:

            def tune(data: Dataset, rows: Ints, name: str) -> Path:
                fine_tune(Labelled.of(data, rows), self.weights, Path(scratch) / name, plan=plan)
                return Path(scratch) / name

            learnt, _ = learn_tuned(data, vectors, config, engines, RetrainContext(START.isoformat()), tune)
            # Opened before the folder is deleted.
            encoder = Encoder.load(Path(scratch) / "final", budget=config.encoder.max_tokens)
            zero_shot = open_zero_shot(config.zero_shot, encoder)
        return open_model(learnt.bundle, "study", encoder, zero_shot, config.labels.descriptions)
