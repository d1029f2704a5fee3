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
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from triage.learn.deep import checkpoint
from triage.learn.deep.batches import Batches, Rows

TEMPERATURE = 0.07
# The labels' directions start at random, the encoder does not.
DIRECTION_RATE = 20.0
# Cosines to a label's direction become logits: times the exponential of the first, plus the second.
START_SCALE, START_BIAS = math.log(10.0), -3.0
WARM_UP = 0.1
LONGEST_GRADIENT = 1.0
WEIGHT_DECAY = 0.01
# Steps after which the pace is known well enough to plan with.
PACE_STEPS = 5
SECONDS_BETWEEN_CHECKPOINTS = 60.0
# Batches are padded to a multiple of so many tokens: each width leaves buffers behind that nobody frees.
WIDTHS = 16


@dataclass(frozen=True)
class Plan:
    """How to train. `seconds` bounds training (None: no bound), `max_tokens` what is read of each text."""

    epochs: int = 6
    max_tokens: int = 128
    batch: int = 32
    rate: float = 1e-4
    seconds: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Labelled:
    """Rendered texts and their labels, `targets` [n, L]; `groups` [n] name the repository of each text."""

    texts: Sequence[str]
    targets: npt.NDArray[np.bool_]
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
class Step:
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


class Training:
    """A run over texts and their labels; `model` is changed in place, but for its embeddings of words.

    Equal arguments give equal weights on the same machine, whether the run was interrupted or not, unless
    the budget ends it.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        issues: Labelled,
        plan: Plan,
    ) -> None:
        self.model, self.plan, self._pad = model.train(), plan, tokenizer.pad_token_id or 0
        positions = min(tokenizer.model_max_length, model.config.max_position_embeddings)
        self._limit = min(plan.max_tokens, positions)
        self._tokens = tokenizer(list(issues.texts), truncation=True, max_length=self._limit)["input_ids"]
        self._targets = torch.from_numpy(issues.targets.astype(np.float32))
        lengths = [len(each) for each in self._tokens]
        self._batches = Batches(lengths, issues.group_numbers, plan.batch, plan.seed)
        # Few texts hold few of the words, and moving those alone would part them from the rest.
        for weight in model.get_input_embeddings().parameters():
            weight.requires_grad_(False)
        torch.manual_seed(plan.seed)
        self._directions = Directions(issues.targets.shape[1], model.config.hidden_size)
        moved = [weight for weight in model.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": moved, "speed": 1.0},
                {"params": list(self._directions.parameters()), "speed": DIRECTION_RATE},
            ],
            lr=plan.rate,
            weight_decay=WEIGHT_DECAY,
        )

    def run(
        self,
        name: str = "",
        folder: Path | None = None,
        progress: Callable[[Step], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> int:
        """Train to the end or to the end of the budget, and return the number of steps done.

        With `folder`, checkpoints of the run `name` are kept there, and an earlier one is taken up.
        """
        weights = self._weights()
        found = checkpoint.load(folder, name, weights, self._optimizer) if folder else None
        done, before = (found.step, found.seconds) if found else (0, 0.0)
        first, start, saved = done, clock() - before, clock()
        planned = self.plan.epochs * len(self._batches)
        total = planned
        while done < total:
            epoch, at = divmod(done, len(self._batches))
            losses = self._step(done, total, self._batches.epoch(epoch)[at])
            done, spent = done + 1, clock() - start
            total = self._affordable(done, first, spent, before, planned)
            if progress:
                progress(Step(done, total, epoch, *losses, self._rate(done - 1, total), spent))
            if folder and (done == total or clock() - saved > SECONDS_BETWEEN_CHECKPOINTS):
                checkpoint.save(folder, checkpoint.Reached(name, done, spent), weights, self._optimizer)
                saved = clock()
        self.model.eval()
        return done

    def _affordable(self, done: int, first: int, spent: float, before: float, planned: int) -> int:
        """How many steps, `done` included, are likely to fit into the budget."""
        if self.plan.seconds is None:
            return planned
        left = self.plan.seconds - spent
        if left <= 0:
            return done
        if done - first < PACE_STEPS:
            return planned
        return min(planned, done + int(left * (done - first) / max(spent - before, 1e-9)))

    def _rate(self, step: int, total: int) -> float:
        """Rising over the first tenth of the steps, then falling to nothing, both linearly."""
        rising, falling = (step + 1) / (WARM_UP * total), (total - step) / ((1 - WARM_UP) * total)
        return self.plan.rate * min(1.0, rising, falling)

    def _step(self, step: int, total: int, rows: Rows) -> tuple[float, float]:
        # Dropout is a function of the step, so that a run taken up again drops the same.
        torch.manual_seed(self.plan.seed + 1 + step)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(step, total) * group["speed"]
        vectors, targets = self.embed(rows), self._targets[rows]
        shared, told = contrast(vectors, targets), self._directions(vectors, targets)
        self._optimizer.zero_grad()
        (shared + told).backward()
        moved = [weight for group in self._optimizer.param_groups for weight in group["params"]]
        torch.nn.utils.clip_grad_norm_(moved, LONGEST_GRADIENT)
        self._optimizer.step()
        return shared.item(), told.item()

    def embed(self, rows: Rows) -> Tensor:
        """Unit vectors [n, d], pooled as the encoder is served: the mean over all tokens of a text."""
        tokens = [self._tokens[i] for i in rows]
        longest = min(self._limit, -(-max(map(len, tokens)) // WIDTHS) * WIDTHS)
        ids = torch.tensor([each + [self._pad] * (longest - len(each)) for each in tokens])
        mask = torch.tensor([[1] * len(each) + [0] * (longest - len(each)) for each in tokens])
        with torch.autocast("cpu", torch.bfloat16, enabled=fast_halves()):
            states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        summed = (states * mask[:, :, None]).sum(dim=1)
        return functional.normalize(summed, dim=1)

    def _weights(self) -> dict[str, Tensor]:
        model = {name: each for name, each in self.model.named_parameters() if each.requires_grad}
        return model | {f"directions.{name}": each for name, each in self._directions.named_parameters()}


def fast_halves() -> bool:
    """Whether the processor multiplies bfloat16, which takes 0.6 of the time of fp32; others emulate it slowly."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
