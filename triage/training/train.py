"""From public issues of many repositories to the two models that all repositories share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from triage.engine.model_folder import ModelManifest, write_manifest
from triage.errors import DataError
from triage.finetune.export import CARD_FILE, export
from triage.finetune.training_loop import OnStep, logged, plot
from triage.finetune.weights import Weights
from triage.issue import Issue
from triage.options import ExportOptions
from triage.training.corpus import Group, corpus
from triage.training.cross_encoder import CrossEncoderNetwork, CrossEncoderObjective
from triage.training.cross_encoder_export import JudgeCalibration, Making, calibrate, export_joint
from triage.training.held_out import ONE_IN, kept_aside
from triage.training.multitask import (
    ATTENTION,
    EncoderObjective,
    MultitaskSchedule,
    MultitaskTraining,
    fingerprint,
)

# The share of the trained weights in the shipped encoder's; the rest is that of the starting weights.
TRAINED_SHARE = 0.5
HEAD_FILE = "head.safetensors"
ENCODER, ZERO_SHOT = "issue-encoder", "issue-judge"
BLENDED = (
    "The weights are the mean of those it started from and those that training ended with: all the way it was better "
    "still at telling kinds of issues, and worse than its start at telling areas."
)
# The schedules of the shipped models; a batch of 32 issues takes a core of 2025 about a second and a half.
PLANS = {
    "encoder": MultitaskSchedule(max_tokens=96),
    "zero-shot": MultitaskSchedule(steps=1500, max_tokens=96),
}


@dataclass(frozen=True)
class TrainingRun:
    """Training from `weights` by `plan`; the folder `work` keeps checkpoints, losses and the PyTorch weights."""

    weights: Weights
    plan: MultitaskSchedule
    work: Path
    progress: OnStep | None = None

    def within(self, model: PreTrainedModel) -> TrainingRun:
        """The same run, reading no more tokens than the model has positions for."""
        most = min(self.plan.max_tokens, model.config.max_position_embeddings)
        return replace(self, plan=replace(self.plan, max_tokens=most))

    def train(self, groups: Sequence[Group], objective: MultitaskTraining) -> None:
        """Train to the end, resuming from a checkpoint where there is one, and plot the losses."""
        objective.run(
            fingerprint(groups, self.plan, self.weights.digest()), self.work, logged(self.work, self.progress)
        )
        plot(self.work)


def planned(kind: str, steps: int | None, seed: int) -> MultitaskSchedule:
    """The plan of the shipped model of this kind, with another number of steps where one is given."""
    plan = PLANS[kind]
    return replace(plan, steps=plan.steps if steps is None else steps, seed=seed)


def train_encoder(issues: Iterable[Issue], run: TrainingRun, out: Path) -> ModelManifest:
    """The issue encoder in the model folder `out`; its PyTorch weights in `run.work`/weights, and as training left
    them in `run.work`/trained.

    Raises DataError where too few issues are left, ModelError where the export is not true to the weights.
    """
    groups = checked(corpus(issues), run.plan)
    model, tokenizer = run.weights.open(attention=ATTENTION)
    run = run.within(model)
    start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    run.train(groups, EncoderObjective(model, tokenizer, groups, run.plan))
    _save(model, tokenizer, run.work / "trained")
    blend(model, start)
    folder = run.work / "weights"
    _save(model, tokenizer, folder)
    recipe = ExportOptions(
        source=str(folder),
        name=ENCODER,
        origin=run.weights.origin,
        licence=run.weights.licence,
        note=f"{described(groups, run.plan)} {BLENDED}",
    )
    return export(recipe, out)[0]


def blend(model: PreTrainedModel, start: Mapping[str, Tensor]) -> None:
    """Move every weight of `model` back to halfway between its `start` and where training left it.

    Labels of public issues name kinds (bug, feature) more than areas, and a fully trained encoder separates areas
    worse than before. Source: Wortsman et al., Robust fine-tuning of zero-shot models (2022), with their even mixture.
    """
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.lerp_(start[name], 1 - TRAINED_SHARE)


def _save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def train_zero_shot(
    issues: Iterable[Issue], run: TrainingRun, out: Path
) -> tuple[ModelManifest, JudgeCalibration]:
    """The zero-shot model in the model folder `out`, calibrated on repositories that it was not trained on.

    Starts from an encoder, or from the `run.work`/weights of an earlier training of this kind.
    """
    everything = list(issues)
    groups = checked(corpus(everything), run.plan)
    encoder, tokenizer = run.weights.open(attention=ATTENTION)
    run = run.within(encoder)
    torch.manual_seed(run.plan.seed)
    model = CrossEncoderNetwork(encoder)
    with_head(model, run.weights.folder)
    run.train(groups, CrossEncoderObjective(model, tokenizer, groups, run.plan))
    _save(encoder, tokenizer, run.work / "weights")
    save_file(head_of(model), run.work / "weights" / HEAD_FILE)
    making = Making(
        name=ZERO_SHOT,
        origin=run.weights.origin,
        licence=run.weights.licence,
        note=described(groups, run.plan),
        max_tokens=run.plan.max_tokens,
    )
    manifest = export_joint(model, tokenizer, making, out)
    calibration = calibrate(everything, out)
    figures = asdict(calibration)
    summary = figures.pop("summary")
    manifest = replace(manifest, **figures)
    write_manifest(out, manifest)
    with (out / CARD_FILE).open("a", encoding="utf-8") as card:
        card.write(f"- {summary}\n")
    return manifest, calibration


def head_of(model: CrossEncoderNetwork) -> dict[str, Tensor]:
    """The weights of a zero-shot model that are not its encoder's, by name."""
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("encoder.")}


def with_head(model: CrossEncoderNetwork, folder: Path) -> None:
    """Load the head that an earlier training left in `folder`, where there is one."""
    if (folder / HEAD_FILE).is_file():
        model.load_state_dict({**model.state_dict(), **load_file(folder / HEAD_FILE)})


def checked(groups: Sequence[Group], plan: MultitaskSchedule) -> Sequence[Group]:
    """The groups; raises DataError where none is large enough for a batch, or one is held out."""
    if aside := [group.repo for group in groups if kept_aside(group.repo)]:
        raise DataError(f"issues of {aside[0]} are kept aside to check results on, and reached the training")
    if not any(len(group.labels) > 1 and len(group.labelled) >= plan.batch // 2 for group in groups):
        raise DataError(
            "no repository has enough labelled issues to train on",
            likely="the files hold few issues, or only repositories that are kept aside to check results on",
            next_step="name files with labelled issues of several repositories",
        )
    return groups


def described(groups: Sequence[Group], plan: MultitaskSchedule) -> str:
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
