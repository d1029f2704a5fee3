"""From public issues of many repositories to the encoder that all repositories share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import PreTrainedModel

from triage.engine.model_folder import BUILTIN_ENCODER, ModelManifest
from triage.errors import DataError
from triage.finetune.export import export
from triage.finetune.training_loop import OnStep, logged, plot
from triage.finetune.weights import Weights
from triage.issue import Issue
from triage.options import ExportOptions
from triage.training.corpus import Group, corpus
from triage.training.held_out import ONE_IN, kept_aside
from triage.training.multitask import ATTENTION, EncoderSchedule, EncoderTraining, fingerprint


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

    def within(self, model: PreTrainedModel) -> TrainingRun:
        """The same run, reading no more tokens than the model has positions for."""
        most = min(self.plan.max_tokens, model.config.max_position_embeddings)
        return replace(self, plan=replace(self.plan, max_tokens=most))

    def train(self, groups: Sequence[Group], objective: EncoderTraining) -> None:
        """Train to the end, resuming from a checkpoint where there is one, and plot the losses."""
        digests = [weights.digest() for weights in (self.weights, self.topics) if weights]
        name = fingerprint(groups, self.plan, " ".join(digests))
        objective.run(name, self.work, logged(self.work, self.progress))
        plot(self.work)


def train_encoder(issues: Iterable[Issue], run: TrainingRun, out: Path) -> ModelManifest:
    """The issue encoder in the model folder `out`, its PyTorch weights in `run.work`/weights.

    Raises DataError where too few issues are left, ModelError where the export is not true to the weights.
    """
    groups = checked(corpus(issues), run.plan)
    model, tokenizer = run.weights.open(attention=ATTENTION)
    run = run.within(model)
    topics = run.topics.open(attention=ATTENTION)[0] if run.topics else None
    run.train(groups, EncoderTraining(model, tokenizer, groups, run.plan, topics))
    folder = run.work / "weights"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    recipe = ExportOptions(
        source=str(folder),
        name=BUILTIN_ENCODER,
        origin=run.weights.origin,
        licence=run.weights.licence,
        note=described(groups, run.plan),
    )
    return export(recipe, out)[0]


def checked(groups: Sequence[Group], plan: EncoderSchedule) -> Sequence[Group]:
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
