"""The encoder with a classification head, both trained on the labelled issues: one logit for each label.

Source: Devlin et al., BERT (2019), with the mean over tokens in place of the first one, as the encoder is served, and a
logistic loss for each label, since an issue may carry several. Domain-adapted, the encoder first learns the language of
the issues without labels (`triage.study.masked_lm`): once for all slices and seeds, since it needs no labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from triage.arrays import Array, Indices, Mask
from triage.console import bar
from triage.finetune.tokenization import TokenizedTexts, summed
from triage.finetune.training_loop import (
    Batches,
    Loop,
    OnStep,
    Part,
    TrainingSchedule,
    TrainingStep,
    freeze_words,
)
from triage.finetune.weights import Weights, find_weights
from triage.study import masked_lm
from triage.study.protocol import Fitted, LabellingTask, Method, Texts

PLAN = TrainingSchedule(epochs=6, max_tokens=128, batch=16, rate=2e-4)
# A few texts are repeated until this many steps are done. Source: Mosbach et al. (2021), who found that fine-tuning
# on small sets fails mostly because it ends too early.
LEAST_STEPS = 60
# The head starts at random, the encoder does not.
HEAD_SPEED = 10.0
DROPOUT = 0.1
# A training with more steps than this shows its progress.
LONG = 200


class TextClassifier(Fitted):
    """An encoder with a head for each of L labels; `model` is changed in place."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, plan: TrainingSchedule = PLAN
    ) -> None:
        self.model, self._tokenizer, self._plan = model, tokenizer, plan
        self._head: torch.nn.Linear

    def fit(self, texts: Sequence[str], targets: Mask, progress: OnStep | None = None) -> int:
        """Train on texts and their labels [n, L], and return the number of steps done."""
        tokenized = TokenizedTexts(self.model, self._tokenizer, texts, self._plan.max_tokens)
        batches = Batches(tokenized.lengths, [0] * len(tokenized), self._plan.batch, self._plan.seed)
        epochs = max(self._plan.epochs, -(-LEAST_STEPS // len(batches)))
        freeze_words(self.model)
        torch.manual_seed(self._plan.seed)
        self._head = _head(self.model.config.hidden_size, targets)
        truth = torch.from_numpy(targets.astype(np.float32))

        def losses(rows: Indices) -> dict[str, Tensor]:
            logits = self._logits(*tokenized.batch(rows))
            of_label = functional.binary_cross_entropy_with_logits(logits, truth[rows], reduction="none")
            return {"labels": of_label.sum(dim=1).mean()}

        self.model.train()
        parts = [Part.of(self.model), Part.of(self._head, "head.", HEAD_SPEED)]
        steps = Loop(replace(self._plan, epochs=epochs), batches.epoch, parts, losses).run(progress=progress)
        self.model.eval()
        return steps

    def scores(self, queries: Texts) -> Array:
        """The probability of each label, [q, L], each text encoded alone."""
        tokenized = TokenizedTexts(self.model, self._tokenizer, queries.texts, self._plan.max_tokens)
        scores = np.empty((len(queries), self._head.out_features))
        self.model.eval()
        for at in range(len(queries)):
            with torch.inference_mode():
                scores[at] = torch.sigmoid(self._logits(*tokenized.batch([at]))[0].double()).numpy()
        return scores

    def _logits(self, ids: Tensor, mask: Tensor) -> Tensor:
        pooled = summed(self.model, ids, mask) / mask.sum(dim=1, keepdim=True)
        logits: Tensor = self._head(functional.dropout(pooled, DROPOUT, training=self.model.training))
        return logits


def _head(dimension: int, targets: Mask) -> torch.nn.Linear:
    """Small random weights; each label's bias is its share of the issues."""
    head = torch.nn.Linear(dimension, targets.shape[1])
    shares = (targets.sum(axis=0) + 0.5) / (len(targets) + 1)
    with torch.no_grad():
        head.weight.normal_(std=0.02)
        head.bias.copy_(torch.tensor([math.log(share / (1 - share)) for share in shares]))
    return head


class FineTuned(Method):
    """Encoder and head, trained from the weights that were named, or the shipped encoder's."""

    name = "fine-tuned transformer"
    needs = "train"

    @property
    def seconds(self) -> float | None:
        """What one training may take (None: no bound)."""
        return self.context.seconds

    @cached_property
    def weights(self) -> Weights:
        """The weights that training starts from. Raises ModelError."""
        return find_weights(self.context.models.get("weights"))

    @cached_property
    def identity(self) -> str:
        return f"{self.name} 1 {self.weights.digest()} {PLAN} {self.seconds}"

    def fit(self, task: LabellingTask) -> TextClassifier:
        """Raises DataError and ModelError."""
        plan = replace(PLAN, seed=task.seed, seconds=self.seconds)
        classifier = TextClassifier(*self.prepare(task).open(), plan)
        classifier.fit(task.labelled.texts, task.targets, step_bar("fine-tuning"))
        return classifier

    def prepare(self, task: LabellingTask) -> Weights:  # noqa: ARG002 - nothing depends on it here
        """The weights to start from."""
        return self.weights


def step_bar(title: str) -> OnStep:
    """Shows the steps of a long training."""
    bars: list[Callable[[int], None]] = []

    def listen(step: TrainingStep) -> None:
        if step.total > LONG and not bars:
            bars.append(bar(f"{title}, steps", step.total))
        for shown in bars:
            shown(step.number)

    return listen


class DomainAdapted(FineTuned):
    """The same from adapted weights."""

    name = "domain-adapted, fine-tuned"

    @property
    def seconds(self) -> float | None:
        """Each of the two trainings gets half."""
        return self.context.seconds and self.context.seconds / 2

    @cached_property
    def identity(self) -> str:
        return f"{self.name} 1 {self.weights.digest()} {masked_lm.PLAN} {PLAN} {self.seconds}"

    def prepare(self, task: LabellingTask) -> Weights:
        """The adapted weights, made once for the same texts without labels."""
        return adapted(self.weights, task, self.context.home, self.seconds)


def adapted(weights: Weights, task: LabellingTask, folder: Path, seconds: float | None = None) -> Weights:
    """A masked language model of the task's domain: of the texts without labels, else of the labelled ones.

    Raises DataError and ModelError.
    """
    return masked_lm.adapt(
        task.unlabelled.texts or task.labelled.texts,
        weights,
        folder,
        plan=replace(masked_lm.PLAN, seconds=seconds),
        progress=step_bar("learning the issues' language"),
    )
