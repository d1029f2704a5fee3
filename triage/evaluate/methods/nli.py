"""Zero-shot classification by natural language inference, through the product's own engine.

See triage.engine.entailment: one judgement for each issue and label, apart from the others.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path

from triage.engine.models import (
    BUILTIN,
    HUB_ID,
    MANIFEST_FILE,
    REVISION,
    pulled_folder,
    read_manifest,
    shipped_root,
)
from triage.engine.phrases import LabelText
from triage.engine.zeroshot import BUILTIN_ZERO_SHOT, ZeroShot, calibrated, open_zero_shot
from triage.errors import ModelError
from triage.evaluate.method import Array, Floats, Means, Task, Texts, Told
from triage.evaluate.methods.embedding import usual
from triage.evaluate.models import Models, why_not


class Inference:
    """See `triage.evaluate.method.Method`."""

    name = "zero-shot, NLI"
    needs = "learn"
    learns = False

    def __init__(self, named: str | None, means: Means) -> None:
        self._named, self._means = named, means

    @cached_property
    def engine(self) -> ZeroShot:
        """The opened judge. Raises ModelError, and UnavailableError where it cannot be downloaded."""
        settings = replace(self._means.config.zero_shot, model=str(entailment_folder(self._named)))
        return open_zero_shot(settings, self._means.engines.encoder)

    @cached_property
    def identity(self) -> str:
        """See `triage.evaluate.method.Method`; raises as `engine` does."""
        return f"{self.name} 2 {self.engine.digest}"

    def unavailable(self) -> str:
        """Without an entailment model."""
        return why_not(lambda: self.engine)

    def fit(self, task: Task) -> FittedInference:
        """Nothing is learnt. Raises as `engine` does."""
        labels = [LabelText(name, task.descriptions.get(name, "")) for name in task.names]
        return FittedInference(self.engine, labels, usual(task))


class FittedInference:
    """A judge and the labels that it judges; `prior` is the mean vector of issues in general."""

    def __init__(self, engine: ZeroShot, labels: list[LabelText], prior: Floats | None) -> None:
        self._engine, self._labels, self._prior = engine, labels, prior

    def scores(self, queries: Texts, progress: Told | None = None) -> Array:
        """See `triage.evaluate.method.Fitted`: the probability of entailment against contradiction."""
        raw = self._engine.raw(queries.texts, queries.vectors, self._labels, self._prior, progress=progress)
        return calibrated(raw, self._engine.slope, self._engine.intercept).astype(float)


def entailment_folder(named: str | None) -> Path:
    """The model folder of a name: a folder, `org/name@COMMIT`, or None for the shipped model.

    A hub model that is not here is pulled. Raises ModelError, UnavailableError.
    """
    if named is None or named == BUILTIN:
        folder = shipped_root() / BUILTIN_ZERO_SHOT
        if not (folder / MANIFEST_FILE).is_file():
            raise ModelError(
                "no entailment model is at hand",
                likely="none is shipped with this version",
                next_step="name one: --model nli=FOLDER or nli=org/name@COMMIT",
            )
        return folder
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


def make(means: Means) -> Inference:
    """The method, with the model that was named, or the shipped one."""
    return Inference(Models.of(means.models).nli, means)
