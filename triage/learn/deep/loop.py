"""The loop that every training runs: batches, a rate that rises and falls, checkpoints, a budget of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from triage.learn.deep import checkpoint
from triage.learn.deep.batches import Rows

WARM_UP = 0.1
LONGEST_GRADIENT = 1.0
WEIGHT_DECAY = 0.01
# Steps after which the pace is known well enough to plan with.
PACE_STEPS = 5
SECONDS_BETWEEN_CHECKPOINTS = 60.0


@dataclass(frozen=True)
class Plan:
    """How to train. `seconds` bounds training (None: no bound), `max_tokens` what is read of each text."""

    epochs: int = 6
    max_tokens: int = 128
    batch: int = 32
    rate: float = 1e-4
    seconds: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Done:
    """One step done, the `number`th of `total` planned, with each of its losses."""

    number: int
    total: int
    epoch: int
    losses: tuple[float, ...]
    rate: float
    seconds: float


@dataclass(frozen=True)
class Part:
    """Named weights that move `speed` times as fast as the plan says."""

    weights: Mapping[str, torch.nn.Parameter]
    speed: float = 1.0

    @classmethod
    def of(cls, module: torch.nn.Module, prefix: str = "", speed: float = 1.0) -> Part:
        """All of a module that is not held fast."""
        named = {prefix + name: each for name, each in module.named_parameters() if each.requires_grad}
        return cls(named, speed)


class Epochs(Protocol):
    """Which rows meet in a step, by epoch: so many batches in each."""

    def __len__(self) -> int: ...

    def epoch(self, number: int) -> Sequence[Rows]: ...


class Loop:
    """A run that lowers the sum of `losses`, of which each is a scalar, over the rows of a batch.

    Equal arguments give equal weights on the same machine, whether the run was interrupted or not, unless
    the budget ends it: what `losses` draws from torch's generator is a function of the seed and the step.
    """

    def __init__(
        self,
        plan: Plan,
        batches: Epochs,
        parts: Sequence[Part],
        losses: Callable[[Rows], tuple[Tensor, ...]],
        warm_up: float = WARM_UP,
    ) -> None:
        self.plan, self._batches, self._losses, self._warm_up = plan, batches, losses, warm_up
        self._weights = {name: each for part in parts for name, each in part.weights.items()}
        self._optimizer = torch.optim.AdamW(
            [{"params": list(part.weights.values()), "speed": part.speed} for part in parts],
            lr=plan.rate,
            weight_decay=WEIGHT_DECAY,
        )

    def run(
        self,
        name: str = "",
        folder: Path | None = None,
        progress: Callable[[Done], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> int:
        """Train to the end or to the end of the budget, and return the number of steps done.

        With `folder`, checkpoints of the run `name` are kept there, and an earlier one is taken up.
        """
        found = checkpoint.load(folder, name, self._weights, self._optimizer) if folder else None
        done, before = (found.step, found.seconds) if found else (0, 0.0)
        first, start, saved = done, clock() - before, clock()
        planned = self.plan.epochs * len(self._batches)
        total = planned
        while done < total:
            epoch, at = divmod(done, len(self._batches))
            losses = self._step(done, total, self._batches.epoch(epoch)[at])
            done, spent = done + 1, clock() - start
            total = self._affordable(done, first, spent, before, planned)
            if progress:
                progress(Done(done, total, epoch, losses, self._rate(done - 1, total), spent))
            if folder and (done == total or clock() - saved > SECONDS_BETWEEN_CHECKPOINTS):
                checkpoint.save(folder, checkpoint.Reached(name, done, spent), self._weights, self._optimizer)
                saved = clock()
        return done

    def _affordable(self, done: int, first: int, spent: float, before: float, planned: int) -> int:
        """How many steps, `done` included, are likely to fit into the budget."""
        if self.plan.seconds is None:
            return planned
        left = self.plan.seconds - spent
        if left <= 0:
            return done
        if done - first < PACE_STEPS:
            return planned
        return min(planned, done + int(left * (done - first) / max(spent - before, 1e-9)))

    def _rate(self, step: int, total: int) -> float:
        """Rising over the first share of the steps, then falling to nothing, both linearly."""
        rising = (step + 1) / (self._warm_up * total)
        falling = (total - step) / ((1 - self._warm_up) * total)
        return self.plan.rate * min(1.0, rising, falling)

    def _step(self, step: int, total: int, rows: Rows) -> tuple[float, ...]:
        # Dropout is a function of the step, so that a run taken up again drops the same.
        torch.manual_seed(self.plan.seed + 1 + step)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(step, total) * group["speed"]
        losses = self._losses(rows)
        self._optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        torch.nn.utils.clip_grad_norm_(self._weights.values(), LONGEST_GRADIENT)
        self._optimizer.step()
        return tuple(loss.item() for loss in losses)
