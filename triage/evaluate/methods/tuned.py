"""The product with `--adapt encoder`: its encoder is fine-tuned on the labelled issues, then all goes as usual."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from triage.bundle.model import ServingModel, open_model
from triage.engine.encoder import Encoder
from triage.engine.zeroshot import open_zero_shot
from triage.evaluate.method import Floats, Means
from triage.evaluate.methods.adapted import START, Adapted
from triage.evaluate.models import Models, needed, why_not
from triage.learn.dataset import Dataset
from triage.learn.retrain import Occasion
from triage.learn.tuned import Rows, Untuned, learn_tuned

if TYPE_CHECKING:
    from triage.learn.deep.weights import Weights

# Two encoders are tuned in each fit, one to choose with and one to keep.
SECONDS = 1_200.0


class Tuned(Adapted):
    """See `triage.evaluate.method.Method`; a fit takes SECONDS at most unless the means say otherwise."""

    name = "nearest neighbours, fine-tuned encoder"
    needs = "train"
    tuned = True

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._named = Models.of(means.models).weights
        self._seconds = means.seconds or SECONDS

    @cached_property
    def weights(self) -> Weights:
        """What training starts from. Raises ModelError, MissingExtra."""
        try:
            from triage.learn.deep.weights import named_weights
        except ModuleNotFoundError as error:
            raise needed(error, "fine-tuning") from None
        return named_weights(self._named)

    @cached_property
    def identity(self) -> str:  # type: ignore[override] # a plain attribute where nothing has to be looked for
        """See `triage.evaluate.method.Method`; raises as `weights` does."""
        return f"tuned {self._settings} {self.weights.digest()} {self._seconds}"

    def unavailable(self) -> str:
        """Without torch, or without weights."""
        return why_not(lambda: self.weights)

    def _model(self, data: Dataset, vectors: Floats) -> ServingModel:
        from triage.learn.deep.contrastive import Labelled
        from triage.learn.deep.fine_tune import Budget, fine_tune

        config, engines = self._means.config, self._means.engines
        with tempfile.TemporaryDirectory() as scratch:

            def tune(data: Dataset, rows: Rows, name: str) -> Path:
                texts, repos = zip(*((data.issues[i].text, data.issues[i].repo) for i in rows), strict=True)
                issues = Labelled(texts, data.targets[rows], repos)
                folder = Path(scratch) / name
                fine_tune(issues, self.weights, folder, budget=Budget(self._seconds / 2))
                return folder

            shipped = Untuned(vectors, engines)
            learnt, _ = learn_tuned(data, shipped, config, Occasion(START.isoformat()), tune)
            # What the bundle holds, opened before the folder goes.
            encoder = Encoder.load(Path(scratch) / "final", budget=config.encoder.budget)
            zero_shot = open_zero_shot(config.zero_shot, encoder)
        return open_model(learnt.bundle, "study", encoder, zero_shot, config.labels.descriptions)


def make(means: Means) -> Tuned:
    """The method, from the weights that were named, or the shipped encoder's."""
    return Tuned(means)
