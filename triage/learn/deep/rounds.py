"""A long training run in small steps: each a function of the seed and its number, so that it can be taken up again."""

from __future__ import annotations

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from triage.learn.deep import checkpoint
from triage.learn.deep.contrastive import LONGEST_GRADIENT, WEIGHT_DECAY
from triage.learn.deep.corpus import Group

WARM_UP = 0.06
SECONDS_BETWEEN_CHECKPOINTS = 120.0


@dataclass(frozen=True)
class Plan:
    """How to train: so many `steps` of `batch` issues, each cut to `max_tokens`."""

    steps: int = 2600
    batch: int = 32
    max_tokens: int = 128
    rate: float = 6e-5
    seed: int = 0


@dataclass(frozen=True)
class Step:
    """One step done, the `number`th of `total`: the objective's name and its loss, the rate, the seconds so far."""

    number: int
    total: int
    objective: str
    loss: float
    rate: float
    seconds: float


Listener = Callable[[Step], None]


class Rounds(ABC):
    """A run that changes `module` in place; a subclass says what is learnt in a step."""

    def __init__(self, module: torch.nn.Module, plan: Plan) -> None:
        self.module, self.plan = module.train(), plan
        self._weights = {key: each for key, each in module.named_parameters() if each.requires_grad}
        self._optimizer = torch.optim.AdamW(
            list(self._weights.values()), lr=plan.rate, weight_decay=WEIGHT_DECAY
        )

    @abstractmethod
    def objective(self, step: int, rng: np.random.Generator) -> tuple[str, Tensor]:
        """The name of what this step learns, and its loss; `rng` is drawn from by the step alone."""

    def run(self, name: str = "", folder: Path | None = None, progress: Listener | None = None) -> None:
        """Train to the end; with `folder`, an earlier run of that `name` is taken up from its checkpoint."""
        found = checkpoint.load(folder, name, self._weights, self._optimizer) if folder else None
        done, before = (found.step, found.seconds) if found else (0, 0.0)
        start, saved = time.monotonic() - before, time.monotonic()
        while done < self.plan.steps:
            objective, loss = self._step(done)
            done, spent = done + 1, time.monotonic() - start
            if progress:
                progress(Step(done, self.plan.steps, objective, loss, self._rate(done - 1), spent))
            if folder and (done == self.plan.steps or time.monotonic() - saved > SECONDS_BETWEEN_CHECKPOINTS):
                reached = checkpoint.Reached(name, done, spent)
                checkpoint.save(folder, reached, self._weights, self._optimizer)
                saved = time.monotonic()
        self.module.eval()

    def _rate(self, step: int) -> float:
        """Rising over the first steps, then falling to nothing, both linearly."""
        total = self.plan.steps
        rising, falling = (step + 1) / (WARM_UP * total), (total - step) / ((1 - WARM_UP) * total)
        return self.plan.rate * min(1.0, rising, falling)

    def _step(self, step: int) -> tuple[str, float]:
        torch.manual_seed(self.plan.seed + 1 + step)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(step)
        name, loss = self.objective(step, np.random.default_rng([self.plan.seed, step]))
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self._weights.values()), LONGEST_GRADIENT)
        self._optimizer.step()
        return name, loss.item()


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


def fingerprint(groups: Sequence[Group], plan: Plan, weights: str) -> str:
    """sha256 (hex) of all that decides what a run gives; `weights` is the hash of those it starts from."""
    state = hashlib.sha256(json.dumps([asdict(plan), version("torch"), weights]).encode())
    for group in groups:
        for issue, labels in zip(group.issues, group.carried, strict=True):
            state.update(f"{issue.digest} {labels}\n".encode())
    return state.hexdigest()
