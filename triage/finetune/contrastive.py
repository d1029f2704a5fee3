"""Supervised contrastive fine-tuning: texts that share labels are drawn together, others pushed apart.

Source of the loss: Khosla et al., Supervised Contrastive Learning (2020), with each pair weighted by the
Jaccard index of its labels, so that it serves issues with several. Beside it each label has a direction of
its own, learnt with the encoder by a logistic loss over the same vectors: it tells a batch's texts what lies
outside the batch. The directions are thrown away after training; neighbours vote with the encoder alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from triage.arrays import Indices, Mask
from triage.finetune.tokenization import TokenizedTexts, summed
from triage.finetune.training_loop import Batches, Done, Loop, Part, TrainingSchedule

TEMPERATURE = 0.07
# The labels' directions start at random, the encoder does not.
DIRECTION_RATE = 20.0
# Cosines to a label's direction become logits: times the exponential of the first, plus the second.
START_SCALE, START_BIAS = math.log(10.0), -3.0


@dataclass(frozen=True)
class Labelled:
    """Rendered texts and their labels, `targets` [n, L]; `groups` [n] name the repository of each text."""

    texts: Sequence[str]
    targets: Mask
    groups: Sequence[str] | None = None

    def __post_init__(self) -> None:
        rows = {len(self.texts), len(self.targets), len(self.texts if self.groups is None else self.groups)}
        if len(rows) > 1:
            raise ValueError("texts, targets and groups must have a row for each issue")

    @property
    def group_numbers(self) -> list[int]:
        """The repository of each text as a number; all zero without groups."""
        names = self.groups or [""] * len(self.texts)
        at = {name: number for number, name in enumerate(sorted(set(names)))}
        return [at[name] for name in names]


@dataclass(frozen=True)
class ContrastiveStep:
    """One step done, the `number`th of `total` planned; losses are means over the batch."""

    number: int
    total: int
    epoch: int
    contrast: float
    labels: float
    rate: float
    seconds: float


def contrast(vectors: Tensor, targets: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """The supervised contrastive loss of unit vectors [n, d] with labels [n, L], a scalar.

    For each text the cross-entropy between the shares of its Jaccard indices with the others and the softmax
    of its cosines to them over `temperature`; the mean over the texts that share a label with another.
    """
    shared = targets @ targets.T
    sizes = targets.sum(dim=1)
    itself = torch.eye(len(targets), dtype=torch.bool)
    weights = (shared / (sizes[:, None] + sizes - shared).clamp(min=1)).masked_fill(itself, 0)
    chances = functional.log_softmax((vectors @ vectors.T / temperature).masked_fill(itself, -1e9), dim=1)
    total = weights.sum(dim=1)
    losses = -(weights * chances).sum(dim=1) / total.clamp(min=1e-9)
    return losses.sum() / (total > 0).sum().clamp(min=1)


class Directions(torch.nn.Module):
    """A learnt direction for each label, and the logistic loss of telling by cosine which labels apply."""

    def __init__(self, labels: int, dimension: int) -> None:
        super().__init__()
        self.directions = torch.nn.Parameter(torch.randn(labels, dimension))
        self.scale = torch.nn.Parameter(torch.tensor(START_SCALE))
        self.bias = torch.nn.Parameter(torch.full((labels,), START_BIAS))

    def forward(self, vectors: Tensor, targets: Tensor) -> Tensor:
        """The loss of unit vectors [n, d] with labels [n, L]: summed over labels, the mean over texts."""
        cosines = vectors @ functional.normalize(self.directions, dim=1).T
        logits = self.scale.exp() * cosines + self.bias
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return losses.sum(dim=1).mean()


class ContrastiveTraining:
    """A run over texts and their labels; `model` is changed in place, but for its embeddings of words.

    Equal arguments give equal weights on the same machine, whether the run was interrupted or not, unless
    the budget ends it.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        issues: Labelled,
        plan: TrainingSchedule,
    ) -> None:
        self.model = model.train()
        self._read = TokenizedTexts(model, tokenizer, issues.texts, plan.max_tokens)
        self._targets = torch.from_numpy(issues.targets.astype(np.float32))
        # Few texts hold few of the words, and moving those alone would part them from the rest.
        for weight in model.get_input_embeddings().parameters():
            weight.requires_grad_(False)
        torch.manual_seed(plan.seed)
        self._directions = Directions(issues.targets.shape[1], model.config.hidden_size)
        self._loop = Loop(
            plan,
            Batches(self._read.lengths, issues.group_numbers, plan.batch, plan.seed),
            [Part.of(model), Part.of(self._directions, "directions.", DIRECTION_RATE)],
            self._losses,
        )

    def run(
        self,
        name: str = "",
        folder: Path | None = None,
        progress: Callable[[ContrastiveStep], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> int:
        """Train to the end or to the end of the budget, and return the number of steps done.

        With `folder`, checkpoints of the run `name` are kept there, and an earlier one is taken up.
        """

        def tell(done: Done) -> None:
            if progress:
                shared, told = done.losses
                progress(
                    ContrastiveStep(
                        done.number, done.total, done.epoch, shared, told, done.rate, done.seconds
                    )
                )

        steps = self._loop.run(name, folder, tell, clock)
        self.model.eval()
        return steps

    def _losses(self, rows: Indices) -> tuple[Tensor, Tensor]:
        vectors, targets = self.embed(rows), self._targets[rows]
        return contrast(vectors, targets), self._directions(vectors, targets)

    def embed(self, rows: Indices) -> Tensor:
        """Unit vectors [n, d], pooled as the encoder is served: the mean over all tokens of a text."""
        return functional.normalize(summed(self.model, *self._read.batch(rows)), dim=1)
