"""A classification head on an encoder, both trained together: one logit for each label, apart from the others.

Source: Devlin et al., BERT (2019), with the mean over tokens in place of the first one, as the encoder is
served, and a logistic loss for each label, since an issue may carry several.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from triage.learn.deep.batches import Batches, Rows
from triage.learn.deep.loop import Done, Loop, Part, Plan
from triage.learn.deep.reading import Read, summed

PLAN = Plan(epochs=6, max_tokens=128, batch=16, rate=2e-4)
# A few texts are read again until so many steps are done. Source: Mosbach et al. (2021), who found that
# fine-tuning on small sets fails mostly because it ends too early.
LEAST_STEPS = 60
# The head starts at random, the encoder does not.
HEAD_SPEED = 10.0
DROPOUT = 0.1

Mask = npt.NDArray[np.bool_]
Array = npt.NDArray[np.float64]


class Classifier:
    """An encoder with a head for each of L labels; `model` is changed in place."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, plan: Plan = PLAN) -> None:
        self.model, self._tokenizer, self._plan = model, tokenizer, plan
        self._head: torch.nn.Linear

    def fit(self, texts: Sequence[str], targets: Mask, progress: Callable[[Done], None] | None = None) -> int:
        """Train on texts and their labels [n, L], and return the number of steps done."""
        read = Read(self.model, self._tokenizer, texts, self._plan.max_tokens)
        batches = Batches(read.lengths, [0] * len(read), self._plan.batch, self._plan.seed)
        epochs = max(self._plan.epochs, -(-LEAST_STEPS // len(batches)))
        # Few texts hold few of the words, and moving those alone would part them from the rest.
        for weight in self.model.get_input_embeddings().parameters():
            weight.requires_grad_(False)
        torch.manual_seed(self._plan.seed)
        self._head = _head(self.model.config.hidden_size, targets)
        wanted = torch.from_numpy(targets.astype(np.float32))

        def losses(rows: Rows) -> tuple[Tensor]:
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
        read = Read(self.model, self._tokenizer, texts, self._plan.max_tokens)
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
