"""From a repository's labelled issues to an encoder of its own: trained, exported, checked, in a model folder."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from triage import __version__
from triage.engine.model_folder import ModelManifest, sha256_of
from triage.errors import DataError
from triage.finetune import training_loop as checkpoints
from triage.finetune.contrastive import ContrastiveStep, ContrastiveTraining, Labelled
from triage.finetune.export import export
from triage.finetune.loss_log import logged
from triage.finetune.training_loop import TrainingSchedule
from triage.finetune.weights import Weights
from triage.options import ExportOptions

# Of a time budget, kept for the export: it takes half a minute, and of a small budget at most a quarter.
EXPORT_SECONDS, EXPORT_SHARE = 60.0, 0.25

Listener = Callable[[ContrastiveStep], None]


@dataclass(frozen=True)
class Budget:
    """What fine-tuning may take: `seconds` in all, export included (None: no bound)."""

    seconds: float | None = None
    max_epochs: int = TrainingSchedule.epochs
    max_tokens: int = TrainingSchedule.max_tokens

    def plan(self, seed: int) -> TrainingSchedule:
        """The training that leaves time for the export."""
        rest = self.seconds
        if rest is not None:
            rest -= min(EXPORT_SECONDS, EXPORT_SHARE * rest)
        return TrainingSchedule(epochs=self.max_epochs, max_tokens=self.max_tokens, seconds=rest, seed=seed)


def fine_tune(
    issues: Labelled,
    weights: Weights,
    out: Path,
    *,
    seed: int = 0,
    budget: Budget = Budget(),
    checkpoint: Path | None = None,
    progress: Listener | None = None,
) -> ModelManifest:
    """Write the model folder `out`: an encoder that starts from `weights` and tells the labels apart.

    The folder `checkpoint` lets a run that was killed go on where it stood, and keeps the losses of each
    step (JSON Lines); its tensors are deleted once the model is made. Raises DataError where there is
    nothing to learn, ModelError where the weights cannot be read or the export is not true to them; `out`
    is not touched then.
    """
    _check(issues)
    plan = budget.plan(seed)
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
            f"{steps} steps of at most {plan.batch} issues, seed {seed}: it knows their repository best.",
            max_tokens=plan.max_tokens,
        )
        manifest, _ = export(recipe, out)
    if checkpoint:
        (checkpoint / checkpoints.FILE).unlink(missing_ok=True)
    return manifest


def _check(issues: Labelled) -> None:
    counts = issues.targets.sum(axis=0)
    if not ((counts >= 2) & (counts < len(issues.texts))).any():
        raise DataError(
            f"no label is carried by two of the {len(issues.texts)} issues and lacking on another",
            likely="there are too few labelled issues",
            next_step="label more issues, or learn with --adapt head",
        )


def fingerprint(issues: Labelled, weights: Weights, plan: TrainingSchedule) -> str:
    """sha256 (hex) of all that decides what a run gives, but for the time that it may take."""
    state = hashlib.sha256()
    for part in (
        json.dumps({**asdict(plan), "seconds": None, "torch": version("torch"), "triage": __version__}),
        json.dumps([list(issues.texts), list(issues.groups or ()), issues.targets.shape]),
        np.packbits(issues.targets).tobytes().hex(),
        *map(sha256_of, sorted(weights.folder.glob("*.safetensors"))),
    ):
        state.update(hashlib.sha256(part.encode("utf-8", "surrogatepass")).digest())
    return state.hexdigest()
