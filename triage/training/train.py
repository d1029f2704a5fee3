"""The training of the issue encoder: one encoder for all repositories, from public issues of many of them.

The run is long and goes in small steps, each a function of the seed and its number, so that it can be resumed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from triage.arrays import Indices
from triage.engine.model_folder import BUILTIN_ENCODER, ModelManifest
from triage.engine.zero_shot import CONCEPTS, KIND_CONCEPTS, concept_of
from triage.errors import DataError
from triage.finetune.export import export
from triage.finetune.fine_tune import contrast
from triage.finetune.tokenization import TokenizedTexts, unit_vectors
from triage.finetune.training_loop import (
    Loop,
    OnStep,
    Part,
    TrainingSchedule,
    fingerprint_of,
    freeze_words,
    logged,
    plot,
)
from triage.finetune.weights import Weights
from triage.issue import Issue
from triage.options import ExportOptions
from triage.text import LabelText
from triage.training.corpus import Group, corpus, draw, halves, phrase, some_rows, varied
from triage.training.held_out import ONE_IN, refuse_held_out

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
    carried = ((issue, labels) for g in groups for issue, labels in zip(g.issues, g.carried, strict=True))
    return fingerprint_of(
        json.dumps([asdict(plan), version("torch"), weights]),
        *(f"{issue.digest} {labels}" for issue, labels in carried),
    )


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
SURVEYED_AT_ONCE = 64
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
        vectors = unit_vectors(self._model, texts)
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
        return unit_vectors(self._model, self._tokens(texts, limit))

    def _tokens(self, texts: Sequence[str], limit: int | None = None) -> TokenizedTexts:
        return TokenizedTexts(self._model, self._tokenizer, texts, limit or self.plan.max_tokens)


class Topics:
    """What the vectors of `model` say apart from the FREE dimensions in which the texts surveyed differ least.

    The kind of an issue says little about its topic, and finds room in those dimensions; the others are held near
    what `model`, the teacher, says of them (distillation). Without this, areas are told apart worse the longer the
    training lasts.
    """

    def __init__(self, model: PreTrainedModel, surveyed: TokenizedTexts) -> None:
        self._teacher = model.eval().requires_grad_(False)
        rows = np.argsort(surveyed.lengths)
        parts = np.array_split(rows, -(-len(rows) // SURVEYED_AT_ONCE))
        with torch.no_grad():
            vectors = torch.cat([unit_vectors(self._teacher, surveyed, part) for part in parts])
        # The eigenvalues are in ascending order.
        self._topic = torch.linalg.eigh(vectors.T @ vectors)[1][:, FREE:]

    def loss(self, vectors: Tensor, texts: TokenizedTexts, rows: Indices) -> Tensor:
        """One less the cosine to the topic by the teacher: the mean over these rows of the texts."""
        with torch.no_grad():
            taught = unit_vectors(self._teacher, texts, rows) @ self._topic
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


@dataclass(frozen=True)
class TrainingRun:
    """Training from `weights` by `plan`; the folder `work` keeps checkpoints, losses and the PyTorch weights.

    `topics` are the weights whose topics are held; None: those that training starts from.
    """

    weights: Weights
    plan: EncoderSchedule
    work: Path
    progress: OnStep | None = None
    topics: Weights | None = None


def train_encoder(issues: Iterable[Issue], run: TrainingRun, out: Path) -> ModelManifest:
    """The issue encoder in the model folder `out`, its PyTorch weights in `run.work`/weights.

    A run that was interrupted is resumed from its checkpoint. Raises DataError where too few issues are left,
    ModelError where the export is not true to the weights.
    """
    groups = checked(corpus(issues), run.plan)
    model, tokenizer = run.weights.open(attention=ATTENTION)
    # No more tokens than the model has positions for.
    plan = replace(run.plan, max_tokens=min(run.plan.max_tokens, model.config.max_position_embeddings))
    topics = run.topics.open(attention=ATTENTION)[0] if run.topics else None
    digests = [weights.digest() for weights in (run.weights, run.topics) if weights]
    name = fingerprint(groups, plan, " ".join(digests))
    EncoderTraining(model, tokenizer, groups, plan, topics).run(
        name, run.work, logged(run.work, run.progress)
    )
    plot(run.work)
    folder = run.work / "weights"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    recipe = ExportOptions(
        source=str(folder),
        name=BUILTIN_ENCODER,
        origin=run.weights.origin,
        licence=run.weights.licence,
        note=described(groups, plan),
    )
    return export(recipe, out)[0]


def checked(groups: Sequence[Group], plan: EncoderSchedule) -> Sequence[Group]:
    """The groups; raises DataError where none is large enough for a batch, or one is held out."""
    refuse_held_out(group.repo for group in groups)
    if not any(len(group.labels) > 1 and len(group.labelled) >= plan.batch // 2 for group in groups):
        raise DataError(
            "no repository has enough labelled issues to train on",
            likely="the files hold few issues, or only repositories that are kept aside to check results on",
            next_step="name files with labelled issues of several repositories",
        )
    return groups


def described(groups: Sequence[Group], plan: EncoderSchedule) -> str:
    """For the model card: how it was trained, and on which repositories."""
    issues = [issue for group in groups for issue in group.issues]
    dates = sorted(f"{issue.created_at:%Y-%m}" for issue in issues if issue.created_at)
    span = f"opened {dates[0]} to {dates[-1]} where dated" if dates else "without dates"
    names = ", ".join(f"{group.repo} ({len(group.issues)})" for group in groups)
    return (
        f"Trained in {plan.steps} steps of up to {plan.batch} issues at {plan.max_tokens} tokens (AdamW, rate "
        f"{plan.rate}, seed {plan.seed}) on {len(issues)} public issues of {len(groups)} repositories, "
        f"{sum(len(group.labelled) for group in groups)} of them labelled, {span}. Never on the repositories "
        f"that results are checked on, nor on one in {ONE_IN} of the others (`triage/training/held_out.py`). "
        f"Trained on: {names}."
    )
