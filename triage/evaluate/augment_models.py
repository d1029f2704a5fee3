"""Changed copies of texts that take a model: substitution and insertion in context, and back-translation.

See triage.learn.deep.context and triage.learn.deep.translate. Each is used where its model was named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from triage.errors import ModelError
from triage.evaluate.augment import Augmenter
from triage.evaluate.method import Means, Task
from triage.evaluate.methods.domain_adapted import adapted
from triage.evaluate.models import ADAPTED, Models, home, needed, why_not

if TYPE_CHECKING:
    from triage.learn.deep.translate import Translator
    from triage.learn.deep.weights import Weights


@runtime_checkable
class Suited(Protocol):
    """An augmenter whose model depends on the issues."""

    def suited(self, task: Task) -> Augmenter:
        """The augmenter for these issues. Raises ModelError, MissingExtra."""
        ...


@dataclass(frozen=True)
class Contextual:
    """See `Augmenter`; `masked` names the masked language model, `own` is one that was adapted to the issues."""

    insert: bool
    masked: str | None
    folder: Path
    base: str | None = None
    own: Path | None = None

    @property
    def name(self) -> str:
        return "insertion in context" if self.insert else "substitution in context"

    @cached_property
    def weights(self) -> Weights:
        """The masked language model, or what becomes one. Raises ModelError, MissingExtra."""
        if self.masked is None:
            raise ModelError("no masked language model was named (--model masked=FOLDER, or masked=adapted)")
        try:
            from triage.learn.deep.weights import named_weights
        except ModuleNotFoundError as error:
            raise needed(error, f"{self.name} of words") from None
        if self.own:
            return named_weights(str(self.own))
        return named_weights(self.base if self.masked == ADAPTED else self.masked)

    @property
    def identity(self) -> str:
        """See `Augmenter`; raises as `weights` does."""
        from triage.learn.deep.masked import PLAN

        return f"{self.name} 1 {self.weights.digest()} {PLAN if self.masked == ADAPTED else 'as named'}"

    def unavailable(self) -> str:
        """See `Augmenter`."""
        return why_not(lambda: self.weights)

    def suited(self, task: Task) -> Contextual:
        """See `Suited`."""
        if self.masked != ADAPTED or self.own:
            return self
        return replace(self, own=adapted(self.weights, task, self.folder).folder)

    def augment(self, texts: Sequence[str], seed: int) -> list[str]:
        """See `Augmenter`. A text's copy depends on the seed and its place, not on the others."""
        from triage.learn.deep.context import Rewriter

        rewriter = Rewriter(self.weights)
        return [rewriter.rewrite(text, self.insert, [seed, at]) for at, text in enumerate(texts)]


@dataclass(frozen=True)
class BackTranslation:
    """See `Augmenter`; `pair` names two translation models, there and back."""

    pair: tuple[str, str] | None
    name: str = "back-translation"

    @cached_property
    def weights(self) -> tuple[Weights, Weights]:
        """Both models. Raises ModelError, MissingExtra."""
        if self.pair is None:
            raise ModelError("no translation models were named (--model there=FOLDER --model back=FOLDER)")
        try:
            from triage.learn.deep.weights import named_weights
        except ModuleNotFoundError as error:
            raise needed(error, "back-translation") from None
        return named_weights(self.pair[0]), named_weights(self.pair[1])

    @cached_property
    def _translators(self) -> tuple[Translator, Translator]:
        from triage.learn.deep.translate import Translator

        there, back = self.weights
        return Translator(there), Translator(back)

    @property
    def identity(self) -> str:
        """See `Augmenter`; raises as `weights` does."""
        return f"{self.name} 1 {' '.join(each.digest() for each in self.weights)}"

    def unavailable(self) -> str:
        """See `Augmenter`."""
        return why_not(lambda: self.weights)

    def augment(self, texts: Sequence[str], seed: int) -> list[str]:  # noqa: ARG002 - nothing is drawn
        """See `Augmenter`. Raises ModelError."""
        from triage.learn.deep.translate import back_translated

        return back_translated(texts, *self._translators)


def by_models(means: Means) -> list[Augmenter]:
    """Those that need a model, each saying what it lacks."""
    models = Models.of(means.models)
    found: list[Augmenter] = [
        Contextual(insert, models.masked, home(means), models.weights) for insert in (False, True)
    ]
    return [*found, BackTranslation(models.translate)]
