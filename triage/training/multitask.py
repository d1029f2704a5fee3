"""A long training run in small steps: each a function of the seed and its number, so that it can be taken up again."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from triage.arrays import Indices
from triage.finetune.training_loop import Done, Loop, Part, TrainingSchedule
from triage.training.corpus import Group

WARM_UP = 0.06


@dataclass(frozen=True)
class MultitaskSchedule:
    """How to train: so many `steps` of `batch` issues, each cut to `max_tokens`."""

    steps: int = 2600
    batch: int = 32
    max_tokens: int = 128
    rate: float = 6e-5
    seed: int = 0


@dataclass(frozen=True)
class MultitaskStep:
    """One step done, the `number`th of `total`: the objective's name and its loss, the rate, the seconds so far."""

    number: int
    total: int
    objective: str
    loss: float
    rate: float
    seconds: float


Listener = Callable[[MultitaskStep], None]


class Numbers:
    """The numbers of the steps in the place of rows: a step draws what it needs by itself."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def __len__(self) -> int:
        return self._steps

    def epoch(self, _number: int) -> list[Indices]:
        """One step after the other."""
        return [np.array([step]) for step in range(self._steps)]


class MultitaskTraining(ABC):
    """A run that changes a model in place; a subclass says what is learnt in a step, and its name."""

    def __init__(self, parts: Sequence[Part], plan: MultitaskSchedule) -> None:
        self.plan, self._name = plan, ""
        whole = TrainingSchedule(1, plan.max_tokens, plan.batch, plan.rate, seed=plan.seed)
        self._loop = Loop(whole, Numbers(plan.steps), parts, self._losses, warm_up=WARM_UP)

    @abstractmethod
    def objective(self, step: int, rng: np.random.Generator) -> tuple[str, Tensor]:
        """The name of what this step learns, and its loss; `rng` is drawn from by the step alone."""

    def run(self, name: str = "", folder: Path | None = None, progress: Listener | None = None) -> None:
        """Train to the end; with `folder`, an earlier run of that `name` is taken up from its checkpoint."""

        def listen(done: Done) -> None:
            if progress:
                [loss] = done.losses
                progress(MultitaskStep(done.number, done.total, self._name, loss, done.rate, done.seconds))

        self._loop.run(name, folder, listen)

    def _losses(self, rows: Indices) -> tuple[Tensor]:
        step = int(rows[0])
        self._name, loss = self.objective(step, np.random.default_rng([self.plan.seed, step]))
        return (loss,)


def quicken(model: PreTrainedModel) -> None:
    """Freeze the embeddings of words and leave out dropout, with attention as plain products.

    On one core with bfloat16 a step then takes 0.95 s instead of 1.44; each text is seen a few times only, so that
    there is little to regularise.
    """
    for weight in model.get_input_embeddings().parameters():
        weight.requires_grad_(False)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.set_attn_implementation("eager")


def fingerprint(groups: Sequence[Group], plan: MultitaskSchedule, weights: str) -> str:
    """sha256 (hex) of all that decides what a run gives; `weights` is the hash of those it starts from."""
    state = hashlib.sha256(json.dumps([asdict(plan), version("torch"), weights]).encode())
    for group in groups:
        for issue, labels in zip(group.issues, group.carried, strict=True):
            state.update(f"{issue.digest} {labels}\n".encode())
    return state.hexdigest()
