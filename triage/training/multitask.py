"""Training on several objectives in turn, and those of the issue encoder: one encoder for all repositories.

The run is long and goes in small steps, each a function of the seed and its number, so that it can be resumed.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from triage.arrays import Indices
from triage.finetune.fine_tune import contrast
from triage.finetune.tokenization import TokenizedTexts, summed
from triage.finetune.training_loop import Loop, OnStep, Part, TrainingSchedule, freeze_words
from triage.training.corpus import Group, draw, halves, phrase, some_rows, varied

WARM_UP = 0.06


@dataclass(frozen=True)
class MultitaskSchedule:
    """How to train: `steps` steps of `batch` issues, each cut to `max_tokens`."""

    steps: int = 2600
    batch: int = 32
    max_tokens: int = 128
    rate: float = 6e-5
    seed: int = 0


class MultitaskTraining(ABC):
    """Training that changes a model in place; a subclass defines the objective of each step."""

    def __init__(self, parts: Sequence[Part], plan: MultitaskSchedule) -> None:
        self.plan = plan
        schedule = TrainingSchedule(1, plan.max_tokens, plan.batch, plan.rate, seed=plan.seed)
        # One epoch of step numbers in place of rows: a step draws its issues itself.
        steps = [np.array([step]) for step in range(plan.steps)]
        self._loop = Loop(schedule, lambda _epoch: steps, parts, self._losses, warm_up=WARM_UP)

    @abstractmethod
    def objective(self, step: int, rng: np.random.Generator) -> tuple[str, Tensor]:
        """The name and the loss of this step's objective; only this step draws from `rng`."""

    def run(self, name: str = "", folder: Path | None = None, progress: OnStep | None = None) -> None:
        """Train to the end; with `folder`, an earlier run of that `name` is resumed from its checkpoint."""
        self._loop.run(name, folder, progress)

    def _losses(self, rows: Indices) -> dict[str, Tensor]:
        step = int(rows[0])
        name, loss = self.objective(step, np.random.default_rng([self.plan.seed, step]))
        return {name: loss}


def quicken(model: PreTrainedModel) -> None:
    """Freeze the word embeddings and switch off dropout, with attention as plain products.

    On one core with bfloat16 a step then takes 0.95 s instead of 1.44; each text is seen a few times only, so that
    there is little to regularise.
    """
    freeze_words(model)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.set_attn_implementation("eager")


def fingerprint(groups: Sequence[Group], plan: MultitaskSchedule, weights: str) -> str:
    """sha256 (hex) of everything that determines a run; `weights` is the hash of those it starts from."""
    state = hashlib.sha256(json.dumps([asdict(plan), version("torch"), weights]).encode())
    for group in groups:
        for issue, labels in zip(group.issues, group.carried, strict=True):
            state.update(f"{issue.digest} {labels}\n".encode())
    return state.hexdigest()


TEMPERATURE = 0.07
LABEL_WEIGHT = 0.5
# Titles are matched to bodies in every fourth step.
EVERY = 4
MOST_LABELS = 24
LABEL_TOKENS, TITLE_TOKENS = 24, 48


class EncoderObjective(MultitaskTraining):
    """The training of the issue encoder; `model` is changed in place, except its word embeddings.

    Issues of one repository that share labels are drawn together (supervised contrastive), and each is drawn to the
    names of its labels and away from the other labels of its repository; every fourth step, titles are matched to
    their bodies. A batch is of one repository, so that telling repositories apart is no shortcut.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        groups: Sequence[Group],
        plan: MultitaskSchedule,
    ) -> None:
        quicken(model)
        super().__init__([Part.of(model)], plan)
        self.model, self._tokenizer = model, tokenizer
        self._labelled = [g for g in groups if len(g.labels) > 1 and len(g.labelled) >= plan.batch // 2]
        self._all = [g for g in groups if len(g.issues) >= plan.batch]

    def objective(self, step: int, rng: np.random.Generator) -> tuple[str, Tensor]:
        """See `MultitaskTraining`."""
        return ("titles", self._titles(rng)) if step % EVERY == EVERY - 1 else ("labels", self._labels(rng))

    def _labels(self, rng: np.random.Generator) -> Tensor:
        group = draw(self._labelled, [len(g.labelled) for g in self._labelled], rng)
        rows = some_rows(group, self.plan.batch, rng)
        vectors = self.embed([varied(group, row, rng) for row in rows], self.plan.max_tokens)
        carried = [group.carried[row] for row in rows]
        shown = some_labels(carried, len(group.labels), rng)
        targets = torch.zeros(len(rows), len(group.labels))
        for at, labels in enumerate(carried):
            targets[at, list(labels)] = 1
        names = self.embed([phrase(group.labels[label], rng) for label in shown], LABEL_TOKENS)
        shares = targets[:, shown] / targets[:, shown].sum(dim=1, keepdim=True).clamp(min=1)
        naming = -(shares * functional.log_softmax(vectors @ names.T / TEMPERATURE, dim=1)).sum(dim=1).mean()
        return contrast(vectors, targets, TEMPERATURE) + LABEL_WEIGHT * naming

    def _titles(self, rng: np.random.Generator) -> Tensor:
        group = draw(self._all, [len(g.issues) for g in self._all], rng)
        rows = rng.permutation(len(group.issues))[: 3 * self.plan.batch]
        pairs = [pair for row in rows if (pair := halves(group, int(row), rng))][: self.plan.batch]
        if len(pairs) < 2:
            return self._labels(rng)
        titles = self.embed([title for title, _ in pairs], TITLE_TOKENS)
        bodies = self.embed([body for _, body in pairs], self.plan.max_tokens)
        cosines = titles @ bodies.T / TEMPERATURE
        own = torch.arange(len(pairs))
        return (functional.cross_entropy(cosines, own) + functional.cross_entropy(cosines.T, own)) / 2

    def embed(self, texts: Sequence[str], limit: int) -> Tensor:
        """Unit vectors [n, d], pooled as the encoder is served: the mean over all tokens of a text."""
        ids, mask = TokenizedTexts(self.model, self._tokenizer, texts, limit).batch(range(len(texts)))
        return functional.normalize(summed(self.model, ids, mask), dim=1)


def some_labels(carried: Sequence[Sequence[int]], known: int, rng: np.random.Generator) -> list[int]:
    """The labels carried, and others of the `known` ones up to MOST_LABELS."""
    there = sorted({label for labels in carried for label in labels})
    others = [int(label) for label in rng.permutation(known) if int(label) not in set(there)]
    return there + others[: max(0, MOST_LABELS - len(there))]
