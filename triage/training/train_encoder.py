"""The issue encoder: one encoder for all repositories, trained on the issues of many.

Three objectives take turns. Issues of one repository that share labels are drawn together (supervised
contrastive, see `contrastive.contrast`), and each is drawn to the names of its labels and away from the other
labels of its repository; every fourth step titles find their bodies among those of the same repository. A
batch is of one repository, so that telling repositories apart is no shortcut.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from triage.finetune.contrastive import contrast
from triage.finetune.tokenization import TokenizedTexts, summed
from triage.finetune.training_loop import Part
from triage.training.corpus import Group, halves, phrase, varied
from triage.training.multitask import MultitaskSchedule, MultitaskTraining, quicken

TEMPERATURE = 0.07
LABEL_WEIGHT = 0.5
EVERY = 4
MOST_LABELS = 24
LABEL_TOKENS, TITLE_TOKENS = 24, 48
# Repositories are drawn by the number of their issues to this power, so that large ones do not drown small ones.
FLATTEN = 0.6


class EncoderObjective(MultitaskTraining):
    """A run over the repositories of a corpus; `model` is changed in place, but for its embeddings of words."""

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
        self._told = [g for g in groups if len(g.labels) > 1 and len(g.labelled) >= plan.batch // 2]
        self._all = [g for g in groups if len(g.issues) >= plan.batch]

    def objective(self, step: int, rng: np.random.Generator) -> tuple[str, Tensor]:
        """See `MultitaskTraining`."""
        return ("titles", self._titles(rng)) if step % EVERY == EVERY - 1 else ("labels", self._labels(rng))

    def _labels(self, rng: np.random.Generator) -> Tensor:
        group = draw(self._told, [len(g.labelled) for g in self._told], rng)
        rows = some_rows(group, self.plan.batch, rng)
        vectors = self.embed([varied(group, row, rng) for row in rows], self.plan.max_tokens)
        carried = [group.carried[row] for row in rows]
        shown = some_labels(carried, len(group.labels), rng)
        targets = torch.zeros(len(rows), len(group.labels))
        for at, labels in enumerate(carried):
            targets[at, list(labels)] = 1
        named = self.embed([phrase(group.labels[label], rng) for label in shown], LABEL_TOKENS)
        shares = targets[:, shown] / targets[:, shown].sum(dim=1, keepdim=True).clamp(min=1)
        told = -(shares * functional.log_softmax(vectors @ named.T / TEMPERATURE, dim=1)).sum(dim=1).mean()
        return contrast(vectors, targets, TEMPERATURE) + LABEL_WEIGHT * told

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


def draw(groups: Sequence[Group], sizes: Sequence[int], rng: np.random.Generator) -> Group:
    """One repository, by its size flattened."""
    weights = np.asarray(sizes, dtype=float) ** FLATTEN
    return groups[int(rng.choice(len(groups), p=weights / weights.sum()))]


def some_rows(group: Group, count: int, rng: np.random.Generator) -> list[int]:
    """Up to `count` labelled rows: half of them drawn by label, so that rare labels meet their like."""
    chosen: dict[int, None] = {}
    for label in rng.integers(len(group.labels), size=count // 4):
        rows = group.by_label[int(label)]
        chosen |= dict.fromkeys(int(row) for row in rng.choice(rows, size=min(2, len(rows)), replace=False))
    for row in rng.permutation(group.labelled):
        if len(chosen) >= count:
            break
        chosen[int(row)] = None
    return list(chosen)


def some_labels(carried: Sequence[Sequence[int]], known: int, rng: np.random.Generator) -> list[int]:
    """The labels carried, and others up to MOST_LABELS."""
    there = sorted({label for labels in carried for label in labels})
    others = [int(label) for label in rng.permutation(known) if int(label) not in set(there)]
    return there + others[: max(0, MOST_LABELS - len(there))]
