"""The objectives on which the issue encoder is trained: one encoder for all repositories.

The run is long and goes in small steps, each a function of the seed and its number, so that it can be resumed.
"""

from __future__ import annotations

import copy
import hashlib
import json
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
from triage.engine.concepts import CONCEPTS, KIND_CONCEPTS, concept_of
from triage.finetune.fine_tune import contrast
from triage.finetune.tokenization import TokenizedTexts, summed
from triage.finetune.training_loop import Loop, OnStep, Part, TrainingSchedule, freeze_words
from triage.text import LabelText
from triage.training.corpus import Group, draw, halves, phrase, some_rows, varied

WARM_UP = 0.06
# Attention as plain products: on one core with bfloat16, a step takes 0.76 to 0.84 of the time of a fused kernel.
ATTENTION = "eager"


@dataclass(frozen=True)
class EncoderSchedule:
    """How to train: `steps` steps of `batch` issues, each cut to `max_tokens`."""

    steps: int = 2000
    batch: int = 32
    max_tokens: int = 96
    rate: float = 6e-5
    seed: int = 0


def quicken(model: PreTrainedModel) -> None:
    """Freeze the word embeddings and switch off dropout: each text is seen a few times only, so that there is little
    to regularise.
    """
    freeze_words(model)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def fingerprint(groups: Sequence[Group], plan: EncoderSchedule, weights: str) -> str:
    """sha256 (hex) of everything that determines a run; `weights` is the hash of those it starts from."""
    state = hashlib.sha256(json.dumps([asdict(plan), version("torch"), weights]).encode())
    for group in groups:
        for issue, labels in zip(group.issues, group.carried, strict=True):
            state.update(f"{issue.digest} {labels}\n".encode())
    return state.hexdigest()


TEMPERATURE = 0.07
LABEL_WEIGHT, CONCEPT_WEIGHT, TOPIC_WEIGHT = 0.5, 0.5, 8.0
# Titles are matched to bodies in one step of so many.
EVERY = 6
MOST_LABELS = 24
LABEL_TOKENS, TITLE_TOKENS = 24, 48
# The dimensions that training may use freely, of those in which texts differ least before it.
FREE = 64
# Texts that say which dimensions these are, and those of a batch whose topic is compared with that before training.
SURVEYED, COMPARED = 2048, 16
# The concepts' weights start at zero and learn faster than the encoder, which starts where it is good.
CONCEPT_SPEED = 50.0


class EncoderTraining:
    """The training of the issue encoder; `model` is changed in place, except its word embeddings.

    Most steps take issues of one repository, so that telling repositories apart is no shortcut, and sum four losses:
    issues that share labels are drawn together (supervised contrastive); each is drawn to the names of its labels and
    away from the other labels of its repository; a linear classifier of the vectors tells the concepts of their
    labels; and the topic of an issue stays what it was. Every sixth step matches titles to their bodies instead.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        groups: Sequence[Group],
        plan: EncoderSchedule,
        topics: PreTrainedModel | None = None,
    ) -> None:
        """`topics` is the encoder whose topics are held; None: `model` as it is."""
        quicken(model)
        self.plan = plan
        self._model, self._tokenizer = model, tokenizer
        self._labelled = [g for g in groups if len(g.labels) > 1 and len(g.labelled) >= plan.batch // 2]
        self._all = [g for g in groups if len(g.issues) >= plan.batch]
        self._targets = {g.repo: ConceptTargets.of(g) for g in self._labelled}
        self._concepts = torch.nn.Linear(model.config.hidden_size, len(CONCEPTS))
        torch.nn.init.zeros_(self._concepts.weight)
        torch.nn.init.zeros_(self._concepts.bias)
        self._topics = Topics(topics or copy.deepcopy(model), self._surveyed())
        schedule = TrainingSchedule(1, plan.max_tokens, plan.batch, plan.rate, seed=plan.seed)
        parts = [Part.of(model), Part.of(self._concepts, "concepts.", CONCEPT_SPEED)]
        # One epoch of step numbers in place of rows: a step draws its issues itself.
        steps = [np.array([step]) for step in range(plan.steps)]
        self._loop = Loop(schedule, lambda _epoch: steps, parts, self._losses, warm_up=WARM_UP)

    def run(self, name: str = "", folder: Path | None = None, progress: OnStep | None = None) -> None:
        """Train to the end; with `folder`, an earlier run of that `name` is resumed from its checkpoint."""
        self._loop.run(name, folder, progress)

    def _losses(self, rows: Indices) -> dict[str, Tensor]:
        step = int(rows[0])
        rng = np.random.default_rng([self.plan.seed, step])
        if step % EVERY == EVERY - 1:
            return {"titles": self._titles(rng)}
        return {"labels": self._labels(rng)}

    def _surveyed(self) -> TokenizedTexts:
        rng = np.random.default_rng(self.plan.seed)
        groups = [draw(self._labelled, [len(g.issues) for g in self._labelled], rng) for _ in range(SURVEYED)]
        return self._tokens([g.issues[int(rng.integers(len(g.issues)))].text for g in groups])

    def _labels(self, rng: np.random.Generator) -> Tensor:
        group = draw(self._labelled, [len(g.labelled) for g in self._labelled], rng)
        rows = some_rows(group, self.plan.batch, rng)
        texts = self._tokens([varied(group, row, rng) for row in rows])
        vectors = embed(self._model, texts)
        carried = [group.carried[row] for row in rows]
        shown = some_labels(carried, len(group.labels), rng)
        targets = torch.zeros(len(rows), len(group.labels))
        for at, labels in enumerate(carried):
            targets[at, list(labels)] = 1
        names = self._embed([phrase(group.labels[label], rng) for label in shown], LABEL_TOKENS)
        shares = targets[:, shown] / targets[:, shown].sum(dim=1, keepdim=True).clamp(min=1)
        naming = -(shares * functional.log_softmax(vectors @ names.T / TEMPERATURE, dim=1)).sum(dim=1).mean()
        return (
            contrast(vectors, targets, TEMPERATURE)
            + LABEL_WEIGHT * naming
            + CONCEPT_WEIGHT * self._targets[group.repo].loss(self._concepts(vectors), targets)
            + TOPIC_WEIGHT * self._topics.loss(vectors, texts, rng.permutation(len(rows))[:COMPARED])
        )

    def _titles(self, rng: np.random.Generator) -> Tensor:
        group = draw(self._all, [len(g.issues) for g in self._all], rng)
        rows = rng.permutation(len(group.issues))[: 3 * self.plan.batch]
        pairs = [pair for row in rows if (pair := halves(group, int(row), rng))][: self.plan.batch]
        if len(pairs) < 2:
            return self._labels(rng)
        titles = self._embed([title for title, _ in pairs], TITLE_TOKENS)
        bodies = self._embed([body for _, body in pairs], self.plan.max_tokens)
        cosines = titles @ bodies.T / TEMPERATURE
        own = torch.arange(len(pairs))
        return (functional.cross_entropy(cosines, own) + functional.cross_entropy(cosines.T, own)) / 2

    def _embed(self, texts: Sequence[str], limit: int) -> Tensor:
        return embed(self._model, self._tokens(texts, limit))

    def _tokens(self, texts: Sequence[str], limit: int | None = None) -> TokenizedTexts:
        return TokenizedTexts(self._model, self._tokenizer, texts, limit or self.plan.max_tokens)


def embed(model: PreTrainedModel, texts: TokenizedTexts, rows: Indices | None = None) -> Tensor:
    """Unit vectors [n, d], pooled as the encoder is served: the mean over all tokens of a text."""
    ids, mask = texts.batch(range(len(texts)) if rows is None else rows)
    return functional.normalize(summed(model, ids, mask), dim=1)


class Topics:
    """What the vectors of `model` say apart from the FREE dimensions in which the texts surveyed differ least.

    The kind of an issue says little about its topic, and finds room in those dimensions; the others are held near
    what `model`, the teacher, says of them (distillation). Without this, areas are told apart worse the longer the
    training lasts.
    """

    def __init__(self, model: PreTrainedModel, surveyed: TokenizedTexts, batch: int = 64) -> None:
        self._teacher = model.eval().requires_grad_(False)
        rows = np.argsort(surveyed.lengths)
        parts = np.array_split(rows, -(-len(rows) // batch))
        with torch.no_grad():
            vectors = torch.cat([embed(self._teacher, surveyed, part) for part in parts])
        # The eigenvalues are in ascending order.
        self._topic = torch.linalg.eigh(vectors.T @ vectors)[1][:, FREE:]

    def loss(self, vectors: Tensor, texts: TokenizedTexts, rows: Indices) -> Tensor:
        """One less the cosine to the topic by the teacher: the mean over these rows of the texts."""
        with torch.no_grad():
            taught = embed(self._teacher, texts, rows) @ self._topic
        cosines = functional.cosine_similarity(vectors[torch.as_tensor(rows)] @ self._topic, taught, dim=1)
        return (1 - cosines).mean()


@dataclass(frozen=True)
class ConceptTargets:
    """What a repository's labels say about concepts: `means` [L, C] is 1 where a label means a concept.

    `frequency` [C] is the share of its labelled issues that carry a concept; it is added to the logits while they are
    learnt, so that they say how well an issue fits, not how common the concept is (logit adjustment, Menon et al.,
    2021).
    """

    means: Tensor
    frequency: Tensor

    @classmethod
    def of(cls, group: Group) -> ConceptTargets:
        """Those of a repository with labelled issues."""
        concepts = [concept_of(LabelText(name)) for name in group.labels]
        means = torch.tensor([[float(concept == name) for name in CONCEPTS] for concept in concepts])
        counts = sum(means[list(group.carried[row])].amax(dim=0) for row in group.labelled)
        return cls(means, torch.as_tensor(counts) / len(group.labelled))

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Of logits [n, C] for issues with labels `targets` [n, L]; as in `triage.training.concepts`, kinds are a
        choice between those that the repository has labels for, and each other concept is learnt by itself.
        """
        carried = (targets @ self.means).clamp(max=1)
        known = self.frequency > 0
        kinds = torch.tensor([name in KIND_CONCEPTS for name in CONCEPTS]) & known
        others = known & ~kinds
        total = logits.new_zeros(())
        if kinds.sum() > 1 and (alone := carried[:, kinds].sum(dim=1) == 1).any():
            adjusted = logits[alone][:, kinds] + self.frequency[kinds].log()
            total = total + functional.cross_entropy(adjusted, carried[alone][:, kinds].argmax(dim=1))
        if others.any():
            adjusted = logits[:, others] + torch.logit(self.frequency[others], eps=1e-3)
            total = total + functional.binary_cross_entropy_with_logits(adjusted, carried[:, others])
        return total


def some_labels(carried: Sequence[Sequence[int]], known: int, rng: np.random.Generator) -> list[int]:
    """The labels carried, and others of the `known` ones up to MOST_LABELS."""
    there = sorted({label for labels in carried for label in labels})
    others = [int(label) for label in rng.permutation(known) if int(label) not in set(there)]
    return there + others[: max(0, MOST_LABELS - len(there))]
