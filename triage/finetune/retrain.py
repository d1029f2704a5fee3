"""`--adapt encoder`: learning with an encoder that was fine-tuned on the repository's own labels.

An encoder has seen the labels of the issues it was tuned on, so nothing may be measured on those. One encoder is tuned
on everything before the second half of the tuning window and measured on the rest; another, for the bundle, is tuned in
the same way on everything. Each gets half of the time budget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from triage.arrays import Floats, Ints
from triage.config import Config
from triage.console import status
from triage.engine.encoder import Encoder
from triage.engine.zero_shot import open_zero_shot
from triage.issue import Issue
from triage.learn.dataset import Dataset, Split, split
from triage.learn.recipe import Engines, Recipe
from triage.learn.retrain import RetrainContext, TrainedBundle, assemble, best
from triage.options import RetrainOptions

if TYPE_CHECKING:
    from triage.finetune.training_loop import TrainingStep


# Progress is printed each time this many steps are done.
STEPS_BETWEEN_LINES = 25
# Tunes an encoder on these rows of the data set, and writes it to the folder that it returns, named by the third.
Tune = Callable[[Dataset, Ints, str], Path]


@dataclass(frozen=True)
class Untuned:
    """The encoder as it is shipped: the issues' vectors [n, d] and the engines, to compare with."""

    vectors: Floats
    engines: Engines


def learn_tuned(
    data: Dataset,
    untuned: Untuned,
    config: Config,
    context: RetrainContext,
    tune: Tune,
    unlabelled: Sequence[Issue] = (),
) -> tuple[TrainedBundle, Recipe]:
    """The bundle with an encoder of its own, and the recipe of the untuned encoder on the same windows.

    Raises what `tune` raises: DataError where there is too little to learn, ModelError where the export fails.
    """
    windows = later_half(split(data, context.kind))
    first = windows.tune[0].known if windows.tune else np.arange(len(data))
    early = _opened(tune(data, first, "early"), config, untuned.engines)
    vectors = _vectors(early, data)
    recipe, tried = best(
        [Recipe(data, vectors, windows, config, early, how, unlabelled) for how in ("none", "head")]
    )
    rival = Recipe(data, untuned.vectors, windows, config, untuned.engines, "head", unlabelled)
    folder = tune(data, np.arange(len(data)), "final")
    final = _opened(folder, config, untuned.engines)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    bundle = assemble(recipe, context, vectors=_vectors(final, data), engines=final, encoder=files)
    return TrainedBundle(bundle, recipe, tried), rival


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
    from triage.finetune.fine_tune import Budget, Labelled, fine_tune
    from triage.finetune.weights import named_weights

    weights = named_weights(options.weights or None)
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


def _say(name: str, step: TrainingStep) -> None:
    if step.number % STEPS_BETWEEN_LINES == 0 or step.number == step.total:
        status(
            f"fine-tuning ({name}): step {step.number} of at most {step.total}, loss {step.losses['contrast']:.3f}, "
            f"{step.seconds:.0f} s"
        )
