"""Zero-shot classification by what a masked language model puts into a gap; see triage.learn.deep.cloze.

The model is the one that was named, or the encoder adapted to the issues without labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from triage.engine.phrases import readable
from triage.evaluate.method import Array, Means, Task, Texts, Told
from triage.evaluate.methods.domain_adapted import adapted
from triage.evaluate.models import ADAPTED, Models, home, needed, why_not

if TYPE_CHECKING:
    from triage.learn.deep.cloze import Cloze
    from triage.learn.deep.weights import Weights

PROMPT = "this issue is about {}."
# Texts that tell how likely a label's words are after any; each costs as much as a query.
USUAL = 32


class FillMask:
    """See `triage.evaluate.method.Method`; `words` are ways to say a label (default: its readable name)."""

    name = "zero-shot, fill-mask"
    needs = "train"
    learns = False

    def __init__(
        self,
        folder: Path,
        masked: str | None = None,
        weights: str | None = None,
        words: Mapping[str, Sequence[str]] | None = None,
        prompt: str = PROMPT,
    ) -> None:
        self._folder, self._weights = folder, weights
        self._masked = None if masked == ADAPTED else masked
        self._words, self._prompt = words or {}, prompt

    @cached_property
    def weights(self) -> Weights:
        """The masked language model, or what becomes one. Raises ModelError, MissingExtra."""
        try:
            from triage.learn.deep.weights import named_weights
        except ModuleNotFoundError as error:
            raise needed(error, "filling gaps") from None
        return named_weights(self._masked or self._weights)

    @cached_property
    def identity(self) -> str:
        """See `triage.evaluate.method.Method`; raises as `weights` does."""
        from triage.learn.deep.masked import PLAN

        trained = "as named" if self._masked else PLAN
        return f"{self.name} 1 {self.weights.digest()} {trained} {self._prompt} {sorted(self._words.items())}"

    def unavailable(self) -> str:
        """Without torch, or without weights."""
        return why_not(lambda: self.weights)

    def fit(self, task: Task) -> FittedGap:
        """Nothing is learnt from labels. Raises ConfigError, DataError, ModelError, MissingExtra."""
        from triage.learn.deep.cloze import Cloze

        words = [self._words.get(name) or (readable(name),) for name in task.names]
        cloze = Cloze(self.prepare(task), words, self._prompt)
        return FittedGap(cloze, spread(task.unlabelled.texts, USUAL))

    def prepare(self, task: Task) -> Weights:
        """The masked language model: as named, or adapted once for the same texts without labels."""
        return self.weights if self._masked else adapted(self.weights, task, self._folder)


class FittedGap:
    """A gap for the labels' words, and texts that tell what is usual."""

    def __init__(self, cloze: Cloze, usual: Sequence[str]) -> None:
        self._cloze, self._usual = cloze, usual

    def scores(self, queries: Texts, progress: Told | None = None) -> Array:
        """See `triage.evaluate.method.Fitted`; 0.5 where a text makes a label's words neither likelier nor less."""
        found: Array = 1 / (1 + np.exp(-self._cloze.scores(queries.texts, self._usual, progress)))
        return found


def spread(texts: Sequence[str], most: int) -> list[str]:
    """At most so many of the texts, evenly spread over all."""
    if not texts:
        return []
    rows = np.linspace(0, len(texts) - 1, min(most, len(texts))).round().astype(int)
    return [texts[row] for row in rows]


def make(means: Means) -> FillMask:
    """The method, with the model that was named, or the adapted encoder."""
    models = Models.of(means.models)
    return FillMask(home(means), models.masked, models.weights)
