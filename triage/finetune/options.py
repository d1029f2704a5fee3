"""How `triage retrain --adapt encoder` fine-tunes: the starting weights, the time budget, the checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from triage.bundle.open import need
from triage.bundle.workers import check_engine
from triage.console import status
from triage.options import RetrainOptions

if TYPE_CHECKING:
    from triage.arrays import Ints
    from triage.finetune.contrastive import ContrastiveStep
    from triage.finetune.retrain import Tune
    from triage.learn.dataset import Dataset

PACKAGES = "torch", "transformers", "optimum"
STEPS_BETWEEN_LINES = 25


def ready(options: RetrainOptions) -> Tune | None:
    """The function that fine-tunes the encoder if the options ask for it.

    Raises MissingExtra, before hours of reading and embedding are spent.
    """
    check_engine(options.engine)
    need("learn", "sklearn", *["matplotlib"] * bool(options.plots), to="learning")
    return tuner(options) if options.adapt == "encoder" else None


def tuner(options: RetrainOptions) -> Tune:
    """The function that fine-tunes for `learn_tuned`, twice within the budget. Raises MissingExtra."""
    need("train", *PACKAGES, to="--adapt encoder")
    from triage.finetune.contrastive import Labelled
    from triage.finetune.fine_tune import Budget, fine_tune
    from triage.finetune.weights import find_weights

    spec, _, revision = (options.weights or "").partition("@")
    weights = find_weights(spec or None, revision or None)
    # Checkpoints survive an interruption next to the collected issues, or else in the store's own folder.
    home = options.cache or options.store.work_folder

    def tune(data: Dataset, rows: Ints, name: str) -> Path:
        issues = Labelled(
            [data.issues[i].text for i in rows], data.targets[rows], [data.issues[i].repo for i in rows]
        )
        folder = home / "fine-tuning" / name
        fine_tune(
            issues,
            weights,
            folder / "model",
            budget=Budget(options.budget / 2),
            checkpoint=folder / "checkpoint",
            progress=lambda step: _say(name, step),
        )
        return folder / "model"

    return tune


def _say(name: str, step: ContrastiveStep) -> None:
    if step.number % STEPS_BETWEEN_LINES == 0 or step.number == step.total:
        status(
            f"fine-tuning ({name}): step {step.number} of at most {step.total}, loss {step.contrast:.3f}, "
            f"{step.seconds:.0f} s"
        )
