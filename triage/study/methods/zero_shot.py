"""Zero-shot classification through the product's own engines: by concept, by similarity, by natural language inference.

Concepts and similarity are the product's default; similarity alone compares an issue with a label's name and
description. Each label's usual similarity is subtracted: over the issues without labels where there are enough of
them, else over the vectors shipped with the encoder. Inference judges each pair of issue and label by itself
(`triage.engine.zero_shot`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path

from triage.arrays import Array, Floats
from triage.config import ZeroShotConfig
from triage.engine.model_folder import HUB_ID, MANIFEST_FILE, REVISION, pulled_folder, read_manifest
from triage.engine.zero_shot import SimilarityZeroShot, ZeroShotModel, calibrated, open_zero_shot
from triage.errors import ModelError
from triage.study.protocol import Fitted, LabellingTask, Method, Texts
from triage.text import LabelText

# A mean over fewer issues is a worse estimate than the shipped vectors.
ENOUGH = 50


class Embedding(Method):
    """By similarity, which needs an issue's vector only, with the encoder of the configuration."""

    name = "zero-shot, embedding"
    learns = False

    @cached_property
    def engine(self) -> ZeroShotModel:
        """The model that scores labels. Raises ModelError."""
        return SimilarityZeroShot.load(self.context.engines.encoder)

    @cached_property
    def identity(self) -> str:
        return f"described {self.engine.digest}"

    def fit(self, task: LabellingTask) -> FittedZeroShot:
        """Nothing is learnt from labels. Raises ModelError where the usual similarity is not known."""
        prior = usual(task)
        fitted = FittedZeroShot(self.engine, task, prior)
        if prior is None:
            try:
                fitted.scores(Texts((), task.labelled.vectors[:0]))
            except ModelError:
                # No vectors are shipped with this encoder: estimate from the labelled issues, without their labels.
                return FittedZeroShot(self.engine, task, task.labelled.vectors.mean(axis=0))
        return fitted


class Concepts(Embedding):
    """By concept and similarity."""

    name = "zero-shot, concepts"

    @cached_property
    def engine(self) -> ZeroShotModel:
        return open_zero_shot(ZeroShotConfig(), self.context.engines.encoder)


def usual(task: LabellingTask) -> Floats | None:
    """The mean vector [d] of the issues without labels; None where they are too few."""
    return task.unlabelled.vectors.mean(axis=0) if len(task.unlabelled) >= ENOUGH else None


class FittedZeroShot(Fitted):
    """A zero-shot model, the labels of a task, and the mean vector of issues in general."""

    def __init__(self, engine: ZeroShotModel, task: LabellingTask, prior: Floats | None = None) -> None:
        self._engine, self._prior = engine, prior
        self._labels = [LabelText(name, task.descriptions.get(name, "")) for name in task.names]

    def scores(self, queries: Texts) -> Array:
        raw = self._engine.raw(queries.texts, queries.vectors, self._labels, self._prior)
        return calibrated(raw, self._engine.slope, self._engine.intercept).astype(float)


class Inference(Method):
    """By natural language inference, with the model that was named."""

    name = "zero-shot, NLI"
    learns = False

    @cached_property
    def engine(self) -> ZeroShotModel:
        """The opened judge. Raises ModelError, and UnavailableError where it cannot be downloaded."""
        folder = entailment_folder(self.context.models.get("nli"))
        settings = replace(self.context.config.zero_shot, model=str(folder))
        return open_zero_shot(settings, self.context.engines.encoder)

    @cached_property
    def identity(self) -> str:
        return f"{self.name} 2 {self.engine.digest}"

    def fit(self, task: LabellingTask) -> FittedZeroShot:
        """Nothing is learnt. Raises as `engine` does."""
        return FittedZeroShot(self.engine, task)


def entailment_folder(named: str | None) -> Path:
    """The model folder of a name: a folder or `org/name@COMMIT`.

    A hub model that is not here is pulled. Raises ModelError, UnavailableError.
    """
    if named is None:
        raise ModelError(
            "no entailment model was named",
            likely="none is included",
            next_step="name one: --model nli=FOLDER or nli=org/name@COMMIT",
        )
    if (Path(named) / MANIFEST_FILE).is_file():
        return Path(named)
    model, _, revision = named.partition("@")
    if not HUB_ID.fullmatch(model) or not REVISION.fullmatch(revision):
        raise ModelError(
            f"no entailment model {named!r:.100}: neither a model folder nor `org/name@COMMIT`",
            likely="a typing mistake, or a revision that is no commit of 40 hex digits",
            next_step="`triage models export` makes a folder from weights",
        )
    folder = pulled_folder(model, revision)
    if not folder.is_dir():
        from triage.engine.hub import pull

        pull(model, revision)
    read_manifest(folder)
    return folder
