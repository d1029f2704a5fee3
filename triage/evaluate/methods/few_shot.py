"""A causal language model that is shown the nearest labelled issues; see triage.learn.deep.prompt.

What a label's words score after other issues is taken off, so that frequent words do not win (Zhao et al.,
Calibrate Before Use, 2021). There is no default model: without one it is not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from triage.engine.phrases import readable
from triage.errors import ModelError
from triage.evaluate.method import Array, Floats, Means, Task, Texts, Told
from triage.evaluate.models import Models, needed, why_not

if TYPE_CHECKING:
    from triage.learn.deep.prompt import Example, Prompted
    from triage.learn.deep.weights import Weights

SHOTS = 4
# Issues that tell how likely a label's words are after any; each costs as much as a query.
USUAL = 16


class FewShot:
    """See `triage.evaluate.method.Method`; `causal` names the model."""

    name = "few-shot prompt"
    needs = "train"
    learns = True

    def __init__(self, causal: str | None = None, shots: int = SHOTS) -> None:
        self._causal, self._shots = causal, shots

    @cached_property
    def weights(self) -> Weights:
        """The causal language model. Raises ModelError, MissingExtra."""
        if self._causal is None:
            raise ModelError(
                "no causal language model is at hand",
                likely="none was named, and none is shipped",
                next_step="name one: --model causal=FOLDER or causal=org/name@COMMIT",
            )
        try:
            from triage.learn.deep.weights import named_weights
        except ModuleNotFoundError as error:
            raise needed(error, "prompting") from None
        return named_weights(self._causal)

    @cached_property
    def identity(self) -> str:
        """See `triage.evaluate.method.Method`; raises as `weights` does."""
        return f"{self.name} 1 {self.weights.digest()} {self._shots}"

    def unavailable(self) -> str:
        """Without torch, or without a model."""
        return why_not(lambda: self.weights)

    def fit(self, task: Task) -> FittedPrompt:
        """The model stays as it is: what is learnt from stands in the prompt. Raises ModelError, MissingExtra."""
        from triage.learn.deep.prompt import Prompted

        words = [readable(name) for name in task.names]
        return FittedPrompt(Prompted(self.weights, words), words, task, self._shots)


class FittedPrompt:
    """A model and the labelled issues to show."""

    def __init__(self, prompted: Prompted, words: Sequence[str], task: Task, shots: int) -> None:
        self._prompted, self._words, self._shots = prompted, words, shots
        self._labelled, self._targets, self._seed = task.labelled, task.targets, task.seed
        pool = task.unlabelled if len(task.unlabelled) else task.labelled
        rows = np.linspace(0, max(0, len(pool) - 1), min(USUAL, len(pool))).round().astype(int)
        found = [self._row(pool.texts[row], pool.vectors[row]) for row in rows]
        self._usual = np.mean(found, axis=0) if found else np.zeros(len(words))

    def scores(self, queries: Texts, progress: Told | None = None) -> Array:
        """See `triage.evaluate.method.Fitted`; 0.5 where an issue makes a label neither likelier nor less."""
        found = np.empty((len(queries), len(self._words)))
        for at, (text, vector) in enumerate(zip(queries.texts, queries.vectors, strict=True)):
            found[at] = 1 / (1 + np.exp(self._usual - self._row(text, vector)))
            if progress:
                progress(at + 1)
        return found

    def _row(self, text: str, vector: Floats) -> Array:
        return self._prompted.scores(text, self.examples(text, vector))

    def examples(self, text: str, vector: Floats) -> list[Example]:
        """The nearest labelled issues, the nearest last; an issue does not stand before itself.

        Each one's labels are in an order drawn at random, so that none is always named second.
        """
        from triage.learn.deep.prompt import Example

        order = np.argsort(-(self._labelled.vectors @ vector), kind="stable")
        others = [row for row in order.tolist() if self._labelled.texts[row] != text][: self._shots]
        return [Example(self._labelled.texts[row], self._labels(row)) for row in reversed(others)]

    def _labels(self, row: int) -> list[str]:
        carried = np.flatnonzero(self._targets[row])
        drawn = np.random.default_rng([self._seed, row]).permutation(carried)
        return [self._words[label] for label in drawn.tolist()]


def make(means: Means) -> FewShot:
    """The method, with the model that was named."""
    return FewShot(Models.of(means.models).causal)
