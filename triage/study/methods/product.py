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
from triage.study.protocol import Fitted, LabellingTask, Method, MethodContext, Texts

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

    def __init__(self, context: MethodContext) -> None:
        self._context = context
        config, engines = context.config, context.engines
        settings = json.dumps(
            [asdict(part) for part in (config.vote, config.zero_shot, config.labels)], default=str
        )
        self._settings = f"{engines.encoder.digest} {engines.zero_shot.digest} {context.dated} {settings}"

    @cached_property
    def identity(self) -> str:
        """See `Method`."""
        return f"product 1 {self._settings}"

    def fit(self, task: LabellingTask) -> FittedProduct:
        """Learn the bundle that a retraining on these issues makes. Raises DataError without any label."""
        issues = [
            Rendered(
                repo=REPO,
                number=row + 1,
                title="",
                body=text,
                files=files,
                created_at=START + timedelta(hours=row) if self._context.dated else None,
                labels=tuple(task.names[j] for j in np.flatnonzero(task.targets[row]).tolist()),
            )
            for row, (text, files) in enumerate(_with_files(task.labelled))
        ]
        data = Dataset(issues, task.names, task.targets, {})
        model = self._model(data, task.labelled.vectors)
        policy = Policy.of(self._context.config)
        if policy.target is None:
            # Methods are compared by F1, and none is held to a precision.
            policy = replace(policy, target=BEST_F1)
        return FittedProduct(model, policy, task.names, len(issues), self.tuned)

    def _model(self, data: Dataset, vectors: Floats) -> ServingModel:
        config, engines = self._context.config, self._context.engines
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
        """See `Fitted`."""
        rows = [[name in decision.labels for name in self.names] for decision in self.decisions(queries)]
        return np.array(rows, dtype=bool).reshape(len(queries), len(self.names))


# Each fit tunes two encoders, one to choose the settings and one to keep.
SECONDS = 1_200.0


class ProductFinetuned(Product):
    """With an encoder of its own; a fit takes SECONDS at most unless the context says otherwise."""

    name = "nearest neighbours, fine-tuned encoder"
    needs = "train"
    tuned = True

    def __init__(self, context: MethodContext) -> None:
        super().__init__(context)
        self._named = context.models.get("weights")
        self._seconds = context.seconds or SECONDS

    @cached_property
    def weights(self) -> Weights:
        """The weights that training starts from. Raises ModelError; ModuleNotFoundError without torch."""
        from triage.finetune.weights import named_weights

        return named_weights(self._named)

    @cached_property
    def identity(self) -> str:
        """See `Method`."""
        return f"tuned {self._settings} {self.weights.digest()} {self._seconds}"

    def _model(self, data: Dataset, vectors: Floats) -> ServingModel:
        from triage.finetune.fine_tune import Budget, Labelled, Untuned, fine_tune, learn_tuned

        config, engines = self._context.config, self._context.engines
        with tempfile.TemporaryDirectory() as scratch:

            def tune(data: Dataset, rows: Ints, name: str) -> Path:
                texts, repos = zip(*((data.issues[i].text, data.issues[i].repo) for i in rows), strict=True)
                issues = Labelled(texts, data.targets[rows], repos)
                folder = Path(scratch) / name
                fine_tune(issues, self.weights, folder, budget=Budget(self._seconds / 2))
                return folder

            shipped = Untuned(vectors, engines)
            learnt, _ = learn_tuned(data, shipped, config, RetrainContext(START.isoformat()), tune)
            # Opened before the folder is deleted.
            encoder = Encoder.load(Path(scratch) / "final", budget=config.encoder.max_tokens)
            zero_shot = open_zero_shot(config.zero_shot, encoder)
        return open_model(learnt.bundle, "study", encoder, zero_shot, config.labels.descriptions)
