"""From a repository's labelled issues to an encoder of its own: trained, exported and checked, in a model folder.

Texts that share labels are drawn together, others pushed apart, by the supervised contrastive loss (Khosla et al.,
2020); each pair is weighted by the Jaccard index of its labels, since issues may carry several. A learnt direction for
each label adds a logistic loss, through which a batch sees labels that it does not hold. The directions are thrown
away after training: neighbours vote with the encoder alone.

An encoder has seen the labels of the issues it was tuned on, so nothing may be measured on those. For
`--adapt encoder`, one is tuned on everything before the second half of the tuning window and measured on the rest;
another, for the bundle, is tuned in the same way on everything. Each gets half of the time budget.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from triage import __version__
from triage.arrays import Floats, Indices, Ints, Mask
from triage.config import Config
from triage.console import status
from triage.engine.encoder import Encoder
from triage.engine.model_folder import ModelManifest
from triage.engine.zero_shot import open_zero_shot
from triage.errors import DataError
from triage.finetune import training_loop as checkpoints
from triage.finetune.export import export
from triage.finetune.tokenization import TokenizedTexts, unit_vectors
from triage.finetune.training_loop import (
    Batches,
    Loop,
    OnStep,
    Part,
    TrainingSchedule,
    TrainingStep,
    fingerprint_of,
    freeze_words,
    logged,
)
from triage.finetune.weights import Weights, find_weights
from triage.issue import Issue
from triage.learn.dataset import Dataset, Split, split
from triage.learn.recipe import Engines, Recipe
from triage.learn.retrain import RetrainContext, TrainedBundle, assemble
from triage.options import ExportOptions, RetrainOptions

# Of a time budget, kept for the export: it takes half a minute, and of a small budget at most a quarter.
EXPORT_SECONDS, EXPORT_SHARE = 60.0, 0.25
SCHEDULE = TrainingSchedule()
TEMPERATURE = 0.07
# The labels' directions start at random, the encoder does not.
DIRECTION_RATE = 20.0
# Cosines to a label's direction become logits: times the exponential of the first, plus the second.
START_SCALE, START_BIAS = math.log(10.0), -3.0
# Progress is printed each time this many steps are done.
STEPS_BETWEEN_LINES = 25
# Tunes an encoder on these rows of the data set, and writes it to the folder that it returns, named by the third.
Tune = Callable[[Dataset, Ints, str], Path]


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

    @classmethod
    def of(cls, data: Dataset, rows: Ints) -> Labelled:
        """These rows of a data set."""
        issues = [data.issues[i] for i in rows]
        return cls([issue.text for issue in issues], data.targets[rows], [issue.repo for issue in issues])

    @property
    def group_numbers(self) -> list[int]:
        """The repository of each text as a number; all zero without groups."""
        names = self.groups or [""] * len(self.texts)
        at = {name: number for number, name in enumerate(sorted(set(names)))}
        return [at[name] for name in names]


def before_export(seconds: float) -> float:
    """What a time budget leaves for training."""
    return seconds - min(EXPORT_SECONDS, EXPORT_SHARE * seconds)


def fine_tune(
    issues: Labelled,
    weights: Weights,
    out: Path,
    *,
    plan: TrainingSchedule = SCHEDULE,
    checkpoint: Path | None = None,
    progress: OnStep | None = None,
) -> ModelManifest:
    """Train an encoder from `weights` to tell the labels apart, and write its model folder `out`.

    The plan's `seconds` are for all of that, export included. The folder `checkpoint` lets a killed run resume and
    keeps the losses of each step (JSON Lines); its tensors are deleted once the model is made.

    Raises DataError where there is nothing to learn, ModelError where the weights cannot be read or the export
    deviates from them; `out` is not touched then.
    """
    counts = issues.targets.sum(axis=0)
    if not ((counts >= 2) & (counts < len(issues.texts))).any():
        raise DataError(
            f"no label is carried by two of the {len(issues.texts)} issues and lacking on another",
            likely="there are too few labelled issues",
            next_step="label more issues, or learn with --adapt head",
        )
    if plan.seconds is not None:
        plan = replace(plan, seconds=before_export(plan.seconds))
    model, tokenizer = weights.open()
    training = ContrastiveTraining(model, tokenizer, issues, plan)
    listen = logged(checkpoint, progress) if checkpoint else progress
    steps = training.run(fingerprint(issues, weights, plan), checkpoint, listen)
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        recipe = ExportOptions(
            source=scratch,
            name=f"{weights.name}-tuned",
            origin=weights.origin,
            licence=weights.licence,
            note=f"Fine-tuned on {len(issues.texts)} labelled issues with {issues.targets.shape[1]} labels, in "
            f"{steps} steps of at most {plan.batch} issues, seed {plan.seed}: it knows their repository best.",
            max_tokens=plan.max_tokens,
        )
        manifest, _ = export(recipe, out)
    if checkpoint:
        (checkpoint / checkpoints.FILE).unlink(missing_ok=True)
    return manifest


def fingerprint(issues: Labelled, weights: Weights, plan: TrainingSchedule) -> str:
    """sha256 (hex) of everything that determines the result, except the time limit."""
    return fingerprint_of(
        json.dumps({**asdict(plan), "seconds": None, "torch": version("torch"), "triage": __version__}),
        json.dumps([list(issues.texts), list(issues.groups or ()), issues.targets.shape]),
        np.packbits(issues.targets).tobytes().hex(),
        weights.digest(),
    )


class ContrastiveTraining:
    """Training on texts and their labels; `model` is changed in place, except its word embeddings.

    Equal arguments give equal weights on the same machine, whether the run was interrupted or not, unless the budget
    ends it.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        issues: Labelled,
        plan: TrainingSchedule,
    ) -> None:
        self.model = model.train()
        self.texts = TokenizedTexts(model, tokenizer, issues.texts, plan.max_tokens)
        self._targets = torch.from_numpy(issues.targets.astype(np.float32))
        freeze_words(model)
        torch.manual_seed(plan.seed)
        self._directions = Directions(issues.targets.shape[1], model.config.hidden_size)
        self._loop = Loop(
            plan,
            Batches(self.texts.lengths, issues.group_numbers, plan.batch, plan.seed).epoch,
            [Part.of(model), Part.of(self._directions, "directions.", DIRECTION_RATE)],
            self._losses,
        )

    def run(
        self,
        name: str = "",
        folder: Path | None = None,
        progress: OnStep | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> int:
        """See `Loop.run`."""
        steps = self._loop.run(name, folder, progress, clock)
        self.model.eval()
        return steps

    def _losses(self, rows: Indices) -> dict[str, Tensor]:
        vectors, targets = unit_vectors(self.model, self.texts, rows), self._targets[rows]
        return {"contrast": contrast(vectors, targets), "labels": self._directions(vectors, targets)}


def contrast(vectors: Tensor, targets: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """The supervised contrastive loss of unit vectors [n, d] with labels [n, L], a scalar.

    For each text the cross-entropy between the shares of its Jaccard indices with the others and the softmax of its
    cosines to them over `temperature`; the mean over the texts that share a label with another.
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
    """A learnt direction for each label; the cosine to it predicts whether the label applies."""

    def __init__(self, labels: int, dimension: int) -> None:
        super().__init__()
        self.directions = torch.nn.Parameter(torch.randn(labels, dimension))
        self.scale = torch.nn.Parameter(torch.tensor(START_SCALE))
        self.bias = torch.nn.Parameter(torch.full((labels,), START_BIAS))

    def forward(self, vectors: Tensor, targets: Tensor) -> Tensor:
        """The logistic loss of unit vectors [n, d] with labels [n, L]: summed over labels, the mean over texts."""
        cosines = vectors @ functional.normalize(self.directions, dim=1).T
        logits = self.scale.exp() * cosines + self.bias
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return losses.sum(dim=1).mean()


def learn_tuned(
    data: Dataset,
    vectors: Floats,
    config: Config,
    engines: Engines,
    context: RetrainContext,
    tune: Tune,
    unlabelled: Sequence[Issue] = (),
) -> tuple[TrainedBundle, Recipe]:
    """The bundle with an encoder of its own, and the recipe of the untuned encoder on the same windows.

    `vectors` [n, d] and `engines` are those of the untuned encoder. Raises what `tune` raises: DataError where there is
    too little to learn, ModelError where the export fails.
    """
    windows = later_half(split(data, context.kind))
    first = windows.tune[0].known if windows.tune else np.arange(len(data))
    early = _opened(tune(data, first, "early"), config, engines)
    tuned = _vectors(early, data)
    recipe = Recipe(data, tuned, windows, config, early, "head", unlabelled)
    rival = Recipe(data, vectors, windows, config, engines, "head", unlabelled)
    folder = tune(data, np.arange(len(data)), "final")
    final = _opened(folder, config, engines)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    bundle = assemble(recipe, context, vectors=_vectors(final, data), engines=final, encoder=files)
    return TrainedBundle(bundle, recipe), rival


def later_half(windows: Split) -> Split:
    """The split whose tuning window is the later half of the given one; of folds without order, the last."""
    keep = (len(windows.tune) + 1) // 2 if windows.kind == "time" else 1
    return replace(windows, tune=windows.tune[-keep:])


def _opened(folder: Path, config: Config, engines: Engines) -> Engines:
    encoder = Encoder.load(folder, budget=config.encoder.max_tokens)
    return Engines(encoder, open_zero_shot(config.zero_shot, encoder), engines.progress)


def _vectors(engines: Engines, data: Dataset) -> Floats:
    progress = engines.listener("embedding", len(data))
    return engines.encoder.encode([issue.text for issue in data.issues], progress=progress)


def tuner(options: RetrainOptions) -> Tune:
    """The function that fine-tunes for `learn_tuned`, twice within the budget. Raises ModelError for the weights."""
    weights = find_weights(options.weights or None)
    # Checkpoints survive an interruption next to the collected issues, or else in the store's own folder.
    home = options.cache or options.store.work_folder

    def tune(data: Dataset, rows: Ints, name: str) -> Path:
        folder = home / "fine-tuning" / name
        fine_tune(
            Labelled.of(data, rows),
            weights,
            folder / "model",
            plan=TrainingSchedule(seconds=options.budget / 2),
            checkpoint=folder / "checkpoint",
            progress=lambda step: _say(name, step),
        )
        return folder / "model"

    return tune


def _say(name: str, step: TrainingStep) -> None:
    if step.number % STEPS_BETWEEN_LINES == 0 or step.number == step.total:
        status(
            f"fine-tuning ({name}): step {step.number} of at most {step.total}, loss {step.losses['contrast']:.3f}, "
            f"{step.seconds:.0f} s"
        )
