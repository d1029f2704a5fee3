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
from triage.engine.model_folder import (
    HUB_ID,
    MANIFEST_FILE,
    REVISION,
    pulled_folder,
    read_manifest,
)
from triage.engine.zero_shot import SimilarityZeroShot, ZeroShotModel, calibrated, open_zero_shot
from triage.errors import ModelError
from triage.study.protocol import Fitted, LabellingTask, Method, MethodContext, Texts
from triage.text import LabelText

# A mean over fewer issues is a worse estimate than the shipped vectors.
ENOUGH = 50


class Described(Method):
    """By a model that needs an issue's vector only."""

    learns = False

    def __init__(self, name: str, labels: ZeroShotModel) -> None:
        self.name, self._labels = name, labels
        self.identity = f"described {labels.digest}"

    def fit(self, task: LabellingTask) -> FittedZeroShot:
        """Nothing is learnt from labels. Raises ModelError where the usual similarity is not known."""
        prior = usual(task)
        labels = [LabelText(name, task.descriptions.get(name, "")) for name in task.names]
        fitted = FittedZeroShot(self._labels, labels, prior)
        if prior is None:
            try:
                fitted.scores(Texts((), task.labelled.vectors[:0]))
            except ModelError:
                # No vectors are shipped with this encoder: estimate from the labelled issues, without their labels.
                return FittedZeroShot(self._labels, labels, task.labelled.vectors.mean(axis=0))
        return fitted


def usual(task: LabellingTask) -> Floats | None:
    """The mean vector [d] of the issues without labels; None where they are too few."""
    return task.unlabelled.vectors.mean(axis=0) if len(task.unlabelled) >= ENOUGH else None


class FittedZeroShot(Fitted):
    """A zero-shot model, its labels, and the mean vector of issues in general."""

    def __init__(self, engine: ZeroShotModel, labels: list[LabelText], prior: Floats | None) -> None:
        self._engine, self._labels, self._prior = engine, labels, prior

    def scores(self, queries: Texts) -> Array:
        """See `Fitted`."""
        raw = self._engine.raw(queries.texts, queries.vectors, self._labels, self._prior)
        return calibrated(raw, self._engine.slope, self._engine.intercept).astype(float)


def make_embedding(context: MethodContext) -> Described:
    """By similarity, with the encoder of the configuration."""
    return Described("zero-shot, embedding", SimilarityZeroShot.load(context.engines.encoder))


def make_concepts(context: MethodContext) -> Described:
    """By concept and similarity, with the encoder of the configuration."""
    return Described("zero-shot, concepts", open_zero_shot(ZeroShotConfig(), context.engines.encoder))


class Inference(Method):
    """By natural language inference."""

    name = "zero-shot, NLI"
    learns = False

    def __init__(self, named: str | None, context: MethodContext) -> None:
        self._named, self._context = named, context

    @cached_property
    def engine(self) -> ZeroShotModel:
        """The opened judge. Raises ModelError, and UnavailableError where it cannot be downloaded."""
        settings = replace(self._context.config.zero_shot, model=str(entailment_folder(self._named)))
        return open_zero_shot(settings, self._context.engines.encoder)

    @cached_property
    def identity(self) -> str:
        """See `Method`."""
        return f"{self.name} 2 {self.engine.digest}"

    def fit(self, task: LabellingTask) -> FittedZeroShot:
        """Nothing is learnt. Raises as `engine` does."""
        labels = [LabelText(name, task.descriptions.get(name, "")) for name in task.names]
        return FittedZeroShot(self.engine, labels, None)


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


def make_nli(context: MethodContext) -> Inference:
    """By natural language inference, with the model that was named."""
    return Inference(context.models.get("nli"), context)
