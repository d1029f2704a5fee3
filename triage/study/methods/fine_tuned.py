"""A classification head on an encoder, both trained together: one logit for each label, apart from the others.

Source: Devlin et al., BERT (2019), with the mean over tokens in place of the first one, as the encoder is
served, and a logistic loss for each label, since an issue may carry several.

The encoder with a classification head, both trained on the labelled issues; see triage.study.methods.fine_tuned.

Fine-tuning after the encoder has learnt the language of the issues without labels; see triage.study.masked_lm.

The adaptation is the same for every slice and seed: it sees neither labels nor how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from triage.arrays import Array, Indices, Mask
from triage.finetune.tokenization import TokenizedTexts, summed
from triage.finetune.training_loop import Batches, Done, Loop, Part, TrainingSchedule
from triage.progress import bar
from triage.study.protocol import LabellingTask, MethodContext, Texts, Told
from triage.study.user_models import UserModels, home, needed, why_not

if TYPE_CHECKING:
    from triage.finetune.training_loop import Done
    from triage.finetune.weights import Weights

PLAN = TrainingSchedule(epochs=6, max_tokens=128, batch=16, rate=2e-4)
# A few texts are read again until so many steps are done. Source: Mosbach et al. (2021), who found that
# fine-tuning on small sets fails mostly because it ends too early.
LEAST_STEPS = 60
# The head starts at random, the encoder does not.
HEAD_SPEED = 10.0
DROPOUT = 0.1


class TextClassifier:
    """An encoder with a head for each of L labels; `model` is changed in place."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, plan: TrainingSchedule = PLAN
    ) -> None:
        self.model, self._tokenizer, self._plan = model, tokenizer, plan
        self._head: torch.nn.Linear

    def fit(self, texts: Sequence[str], targets: Mask, progress: Callable[[Done], None] | None = None) -> int:
        """Train on texts and their labels [n, L], and return the number of steps done."""
        read = TokenizedTexts(self.model, self._tokenizer, texts, self._plan.max_tokens)
        batches = Batches(read.lengths, [0] * len(read), self._plan.batch, self._plan.seed)
        epochs = max(self._plan.epochs, -(-LEAST_STEPS // len(batches)))
        # Few texts hold few of the words, and moving those alone would part them from the rest.
        for weight in self.model.get_input_embeddings().parameters():
            weight.requires_grad_(False)
        torch.manual_seed(self._plan.seed)
        self._head = _head(self.model.config.hidden_size, targets)
        wanted = torch.from_numpy(targets.astype(np.float32))

        def losses(rows: Indices) -> tuple[Tensor]:
            logits = self._logits(*read.batch(rows))
            told = functional.binary_cross_entropy_with_logits(logits, wanted[rows], reduction="none")
            return (told.sum(dim=1).mean(),)

        self.model.train()
        parts = [Part.of(self.model), Part.of(self._head, "head.", HEAD_SPEED)]
        steps = Loop(replace(self._plan, epochs=epochs), batches, parts, losses).run(progress=progress)
        self.model.eval()
        return steps

    def scores(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Array:
        """The probability of each label, [n, L], of each text read alone; `progress` gets the texts done."""
        read = TokenizedTexts(self.model, self._tokenizer, texts, self._plan.max_tokens)
        found = np.empty((len(texts), self._head.out_features))
        self.model.eval()
        for at in range(len(texts)):
            with torch.inference_mode():
                found[at] = torch.sigmoid(self._logits(*read.batch([at]))[0].double()).numpy()
            if progress:
                progress(at + 1)
        return found

    def _logits(self, ids: Tensor, mask: Tensor) -> Tensor:
        pooled = summed(self.model, ids, mask) / mask.sum(dim=1, keepdim=True)
        logits: Tensor = self._head(functional.dropout(pooled, DROPOUT, training=self.model.training))
        return logits


def _head(dimension: int, targets: Mask) -> torch.nn.Linear:
    """Small random weights; each label starts from its share of the issues."""
    head = torch.nn.Linear(dimension, targets.shape[1])
    shares = (targets.sum(axis=0) + 0.5) / (len(targets) + 1)
    with torch.no_grad():
        head.weight.normal_(std=0.02)
        head.bias.copy_(torch.tensor([math.log(share / (1 - share)) for share in shares]))
    return head


# A training of more steps than this shows how far it is.
LONG = 200


class FineTuned:
    """See `triage.study.protocol.Method`; `seconds` bounds one training (None: no bound)."""

    name = "fine-tuned transformer"
    needs = "train"
    learns = True

    def __init__(self, weights: str | None = None, seconds: float | None = None) -> None:
        self._named, self._seconds = weights, seconds

    @cached_property
    def weights(self) -> Weights:
        """What training starts from. Raises ModelError, MissingExtra."""
        try:
            from triage.finetune.weights import named_weights
        except ModuleNotFoundError as error:
            raise needed(error, "fine-tuning") from None
        return named_weights(self._named)

    @cached_property
    def identity(self) -> str:
        """See `triage.study.protocol.Method`; raises as `weights` does."""

        return f"{self.name} 1 {self.weights.digest()} {PLAN} {self._seconds}"

    def unavailable(self) -> str:
        """Without torch, or without weights."""
        return why_not(lambda: self.weights)

    def fit(self, task: LabellingTask) -> FittedClassifier:
        """Encoder and head, from the weights. Raises ModelError, MissingExtra."""
        return self._tuned(self.weights, task)

    def _tuned(self, weights: Weights, task: LabellingTask) -> FittedClassifier:

        plan = replace(PLAN, seed=task.seed, seconds=self._seconds)
        classifier = TextClassifier(*weights.open(), plan)
        classifier.fit(task.labelled.texts, task.targets, shown("fine-tuning"))
        return FittedClassifier(classifier)


class FittedClassifier:
    """A trained encoder with its head."""

    def __init__(self, classifier: TextClassifier) -> None:
        self._classifier = classifier

    def scores(self, queries: Texts, progress: Told | None = None) -> Array:
        """See `triage.study.protocol.Fitted`."""
        return self._classifier.scores(queries.texts, progress)


def shown(title: str) -> Callable[[Done], None]:
    """Shows the steps of a training that is long."""
    tell: list[Told] = []

    def listen(done: Done) -> None:
        if done.total > LONG and not tell:
            tell.append(bar(f"{title}, steps", done.total))
        for told in tell:
            told(done.number)

    return listen


def make_fine_tuned(means: MethodContext) -> FineTuned:
    """The method, from the weights that were named, or the shipped encoder's."""
    return FineTuned(UserModels.of(means.models).weights, means.seconds)


class DomainAdapted(FineTuned):
    """See `triage.study.protocol.Method`; of `seconds` half goes to either training."""

    name = "domain-adapted, fine-tuned"

    def __init__(self, folder: Path, weights: str | None = None, seconds: float | None = None) -> None:
        super().__init__(weights, seconds and seconds / 2)
        self._folder = folder

    @cached_property
    def identity(self) -> str:
        """See `triage.study.protocol.Method`; raises as `weights` does."""
        from triage.study import masked_lm as masked

        return f"{self.name} 1 {self.weights.digest()} {masked.PLAN} {PLAN} {self._seconds}"

    def fit(self, task: LabellingTask) -> FittedClassifier:
        """Encoder and head, from the adapted weights. Raises DataError, ModelError, MissingExtra."""
        return self._tuned(self.prepare(task), task)

    def prepare(self, task: LabellingTask) -> Weights:
        """The adapted weights: made once for the same texts without labels, whatever is labelled."""
        return adapted(self.weights, task, self._folder, self._seconds)


def domain(task: LabellingTask) -> Sequence[str]:
    """Texts to adapt to: those without labels, or, where there are none, the labelled ones without theirs."""
    return task.unlabelled.texts or task.labelled.texts


def adapted(weights: Weights, task: LabellingTask, folder: Path, seconds: float | None = None) -> Weights:
    """A masked language model of the task's domain. Raises DataError, ModelError, MissingExtra."""
    from triage.study.masked_lm import PLAN, adapt

    plan = replace(PLAN, seconds=seconds)
    return adapt(domain(task), weights, folder, plan=plan, progress=shown("learning the issues' language"))


def make_domain_adapted(means: MethodContext) -> DomainAdapted:
    """The method, from the weights that were named, or the shipped encoder's."""
    return DomainAdapted(home(means), UserModels.of(means.models).weights, means.seconds)
