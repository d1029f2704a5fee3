"""Which texts meet in a batch: drawn anew each epoch, of like length, from one group.

Of like length, so that little of a batch is padding and length is no shortcut to telling issues apart; from
one group (a repository), so that the repository is none either.

The loop that every training runs: batches, a rate that rises and falls, checkpoints, a budget of time.

A training run at rest: tensors as safetensors, the rest as JSON; nothing that could run code when read.

A checkpoint is one file, replaced in one step, so that a run killed at any moment finds the last whole one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from triage.arrays import Indices
from triage.errors import ModelError

# Texts whose lengths differ by less than this factor, either way, are put into random order.
LIKE_LENGTH = 1.5


@dataclass(frozen=True)
class Batches:
    """The batches of every epoch, a function of the seed alone.

    `lengths` [n] are in tokens, `groups` [n] number the group of each text; a batch holds at most `size`
    texts, all of one group.
    """

    lengths: Sequence[int]
    groups: Sequence[int]
    size: int
    seed: int

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return sum(-(-int(count) // self.size) for count in np.bincount(self.groups))

    def epoch(self, number: int) -> list[Indices]:
        """The rows of each batch of this epoch, in the order of training; each row is in one of them."""
        rng = np.random.default_rng([self.seed, number])
        spread = np.log(LIKE_LENGTH)
        keys = np.log(np.maximum(self.lengths, 1)) + rng.uniform(-spread, spread, size=len(self.lengths))
        groups, found = np.asarray(self.groups), []
        for group in np.unique(groups):
            rows = np.flatnonzero(groups == group)
            ordered = rows[np.argsort(keys[rows], kind="stable")]
            found += np.array_split(ordered, -(-len(rows) // self.size))
        return [found[i] for i in rng.permutation(len(found))]


WARM_UP = 0.1
LONGEST_GRADIENT = 1.0
WEIGHT_DECAY = 0.01
# Steps after which the pace is known well enough to plan with.
PACE_STEPS = 5
SECONDS_BETWEEN_CHECKPOINTS = 60.0


@dataclass(frozen=True)
class TrainingSchedule:
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

    def epoch(self, number: int) -> Sequence[Indices]: ...


class Loop:
    """A run that lowers the sum of `losses`, of which each is a scalar, over the rows of a batch.

    Equal arguments give equal weights on the same machine, whether the run was interrupted or not, unless
    the budget ends it: what `losses` draws from torch's generator is a function of the seed and the step.
    """

    def __init__(
        self,
        plan: TrainingSchedule,
        batches: Epochs,
        parts: Sequence[Part],
        losses: Callable[[Indices], tuple[Tensor, ...]],
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
        found = load(folder, name, self._weights, self._optimizer) if folder else None
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
                save(folder, Reached(name, done, spent), self._weights, self._optimizer)
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

    def _step(self, step: int, total: int, rows: Indices) -> tuple[float, ...]:
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


FILE = "checkpoint.safetensors"
MOMENT = "moment"


@dataclass(frozen=True)
class Reached:
    """Where a run stands: `step` steps done of the run described by `run`, after `seconds` of training."""

    run: str
    step: int
    seconds: float


def save(
    folder: Path, reached: Reached, weights: Mapping[str, torch.Tensor], optimizer: torch.optim.Optimizer
) -> None:
    """Replace the checkpoint in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"weight.{name}": each.detach().contiguous() for name, each in weights.items()}
    for at, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{MOMENT}.{at}.{name}": each.contiguous() for name, each in state.items()}
    scratch = folder / f"{FILE}.new"
    save_file(tensors, scratch, metadata={"reached": json.dumps(asdict(reached))})
    scratch.replace(folder / FILE)


def load(
    folder: Path, run: str, weights: Mapping[str, torch.Tensor], optimizer: torch.optim.Optimizer
) -> Reached | None:
    """Bring `weights` and `optimizer` to the checkpoint in `folder` and say where it stands.

    None, with nothing changed, where there is none or it is of another run. Raises ModelError where it is
    damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            reached = Reached(**json.loads(file.metadata()["reached"]))
            if reached.run != run:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"cannot read {path}: {error}",
            likely="the file was cut short or edited",
            next_step="delete it; training then starts anew",
        ) from error
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(tensors[f"weight.{name}"])
    optimizer.load_state_dict({**optimizer.state_dict(), "state": _moments(tensors)})
    return reached


def _moments(tensors: Mapping[str, torch.Tensor]) -> dict[int, dict[str, torch.Tensor]]:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, each in tensors.items():
        kind, at, name = key.split(".", 2)
        if kind == MOMENT:
            state.setdefault(int(at), {})[name] = each
    return state
