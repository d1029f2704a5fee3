"""How `triage retrain --adapt encoder` fine-tunes: where from, how long, and where it goes on after a kill."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from triage.bundle.open import need
from triage.bundle.store import StoreName
from triage.bundle.workers import check_engine
from triage.errors import UsageError

if TYPE_CHECKING:
    from triage.arrays import Ints
    from triage.finetune.contrastive import ContrastiveStep
    from triage.finetune.retrain import Tune
    from triage.learn.dataset import Dataset

PACKAGES = "torch", "transformers", "optimum"
SECONDS = {"s": 1, "m": 60, "h": 3600}
# Of a training, a line this often.
STEPS_BETWEEN_LINES = 25


def ready(args: argparse.Namespace) -> Tune | None:
    """What fine-tunes the encoder, where that is asked for; whatever learning needs is there.

    Raises MissingExtra and UsageError, before hours of reading and embedding are spent.
    """
    check_engine(args.engine)
    need("learn", "sklearn", *["matplotlib"] * bool(args.plots), to="learning")
    return tuner(args) if args.adapt == "encoder" else None


def seconds_of(text: str) -> float:
    """Seconds from "90s", "30m" or "2h". Raises UsageError."""
    found = re.fullmatch(r"(\d{1,5})([smh])", text.strip())
    if not found:
        raise UsageError(f"{text!r:.40} is no time budget", next_step="write 30m, or 2h")
    return int(found[1]) * SECONDS[found[2]]


def tuner(args: argparse.Namespace) -> Tune:
    """What fine-tunes for `learn_tuned`. Raises UsageError and MissingExtra."""
    budget = seconds_of(args.budget) / 2
    need("train", *PACKAGES, to="--adapt encoder")
    from triage.finetune.contrastive import Labelled
    from triage.finetune.fine_tune import Budget, fine_tune
    from triage.finetune.weights import find_weights

    spec, _, revision = (args.weights or "").partition("@")
    weights = find_weights(spec or None, revision or None)
    # Beside what is collected, so that a killed run goes on; else with the store, which has room for a bundle.
    home = args.cache or StoreName.parse(args.store).work_folder

    def tune(data: Dataset, rows: Ints, name: str) -> Path:
        issues = Labelled(
            [data.issues[i].text for i in rows], data.targets[rows], [data.issues[i].repo for i in rows]
        )
        folder = home / "fine-tuning" / name
        fine_tune(
            issues,
            weights,
            folder / "model",
            budget=Budget(budget),
            checkpoint=folder / "checkpoint",
            progress=lambda step: _say(name, step),
        )
        return folder / "model"

    return tune


def _say(name: str, step: ContrastiveStep) -> None:
    if step.number % STEPS_BETWEEN_LINES == 0 or step.number == step.total:
        print(
            f"fine-tuning ({name}): step {step.number} of at most {step.total}, loss {step.contrast:.3f}, "
            f"{step.seconds:.0f} s",
            file=sys.stderr,
            flush=True,
        )
