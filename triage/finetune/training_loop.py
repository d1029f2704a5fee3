"""The loop that every training runs: batches, the learning rate, checkpoints, a time budget and the log of losses.

A batch holds texts of like length from one group (a repository), so that little of it is padding, and neither length
nor repository is a shortcut to telling issues apart.

A checkpoint is one file, replaced atomically: tensors as safetensors, the rest as JSON. Nothing in it can run code
when it is read.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from triage.arrays import Indices
from triage.errors import ModelError
from triage.figures import blank

# Texts whose lengths differ by less than this factor, either way, are shuffled.
LIKE_LENGTH = 1.5
WARM_UP = 0.1
LONGEST_GRADIENT = 1.0
WEIGHT_DECAY = 0.01
# After this many steps their pace is known well enough to plan with.
PACE_STEPS = 5
SECONDS_BETWEEN_CHECKPOINTS = 60.0


@dataclass(frozen=True)
class Batches:
    """The batches of every epoch, a function of the seed alone.

    `lengths` [n] are in tokens, `groups` [n] number the group of each text; a batch holds at most `size` texts of one
    group.
    """

    lengths: Sequence[int]
    groups: Sequence[int]
    size: int
    seed: int

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return sum(-(-int(count) // self.size) for count in np.bincount(self.groups))

    def epoch(self, number: int) -> list[Indices]:
        """The rows of each batch of this epoch, in training order; each row is in one batch."""
        rng = np.random.default_rng([self.seed, number])
        spread = np.log(LIKE_LENGTH)
        keys = np.log(np.maximum(self.lengths, 1)) + rng.uniform(-spread, spread, size=len(self.lengths))
        groups, batches = np.asarray(self.groups), []
        for group in np.unique(groups):
            rows = np.flatnonzero(groups == group)
            ordered = rows[np.argsort(keys[rows], kind="stable")]
            batches += np.array_split(ordered, -(-len(rows) // self.size))
        return [batches[i] for i in rng.permutation(len(batches))]


@dataclass(frozen=True)
class TrainingSchedule:
    """How to train. `seconds` bounds the training (None: no bound), `max_tokens` what is read of each text."""

    epochs: int = 6
    max_tokens: int = 128
    batch: int = 32
    rate: float = 1e-4
    seconds: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class TrainingStep:
    """A finished step, the `number`th of `total` planned: its losses by name, means over the batch."""

    number: int
    total: int
    epoch: int
    losses: dict[str, float]
    rate: float
    seconds: float


OnStep = Callable[[TrainingStep], None]


@dataclass(frozen=True)
class Part:
    """Named weights whose learning rate is `speed` times that of the schedule."""

    weights: Mapping[str, torch.nn.Parameter]
    speed: float = 1.0

    @classmethod
    def of(cls, module: torch.nn.Module, prefix: str = "", speed: float = 1.0) -> Part:
        """All weights of a module that are not frozen."""
        named = {prefix + name: weight for name, weight in module.named_parameters() if weight.requires_grad}
        return cls(named, speed)


class Loop:
    """A run that lowers the sum of the scalars that `losses` gives, by name, for the rows of a batch.

    `batches` gives the rows of each step of an epoch, by its number; all epochs have the same number of steps.
    Equal arguments give equal weights on the same machine, whether the run was interrupted or not, unless the budget
    ends it: what `losses` draws from torch's generator is a function of the seed and the step.
    """

    def __init__(
        self,
        plan: TrainingSchedule,
        batches: Callable[[int], Sequence[Indices]],
        parts: Sequence[Part],
        losses: Callable[[Indices], Mapping[str, Tensor]],
        warm_up: float = WARM_UP,
    ) -> None:
        self.plan, self._batches, self._losses, self._warm_up = plan, batches, losses, warm_up
        self._weights = {name: weight for part in parts for name, weight in part.weights.items()}
        self._optimizer = torch.optim.AdamW(
            [{"params": list(part.weights.values()), "speed": part.speed} for part in parts],
            lr=plan.rate,
            weight_decay=WEIGHT_DECAY,
        )

    def run(
        self,
        name: str = "",
        folder: Path | None = None,
        progress: OnStep | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> int:
        """Train until the schedule or the budget ends, and return the number of steps done.

        With `folder`, checkpoints of the run `name` are kept there, and an earlier one is resumed.
        """
        resumed = load(folder, name, self._weights, self._optimizer) if folder else None
        done, before = (resumed.step, resumed.seconds) if resumed else (0, 0.0)
        first, start, saved = done, clock() - before, clock()
        current, batches = 0, self._batches(0)
        planned = self.plan.epochs * len(batches)
        total = planned
        while done < total:
            epoch, at = divmod(done, len(batches))
            if epoch != current:
                current, batches = epoch, self._batches(epoch)
            losses = self._step(done, total, batches[at])
            done, spent = done + 1, clock() - start
            total = self._affordable(done, first, spent, before, planned)
            if progress:
                progress(TrainingStep(done, total, epoch, losses, self._rate(done - 1, total), spent))
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
        """Rising over the first share of the steps, then falling to zero, both linearly."""
        rising = (step + 1) / (self._warm_up * total)
        falling = (total - step) / ((1 - self._warm_up) * total)
        return self.plan.rate * min(1.0, rising, falling)

    def _step(self, step: int, total: int, rows: Indices) -> dict[str, float]:
        # Dropout is a function of the step, so that a resumed run drops the same units.
        torch.manual_seed(self.plan.seed + 1 + step)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(step, total) * group["speed"]
        losses = self._losses(rows)
        self._optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self._weights.values(), LONGEST_GRADIENT)
        self._optimizer.step()
        return {name: loss.item() for name, loss in losses.items()}


def freeze_words(model: PreTrainedModel) -> None:
    """Freeze the word embeddings: training would move only the few words that its texts hold away from the rest."""
    for weight in model.get_input_embeddings().parameters():
        weight.requires_grad_(False)


def fingerprint_of(*parts: str) -> str:
    """sha256 (hex) over the parts, each hashed by itself."""
    state = hashlib.sha256()
    for part in parts:
        state.update(hashlib.sha256(part.encode("utf-8", "surrogatepass")).digest())
    return state.hexdigest()


FILE = "checkpoint.safetensors"
MOMENT = "moment"


@dataclass(frozen=True)
class Reached:
    """How far a run has come: `step` steps done of the run named `run`, after `seconds` of training."""

    run: str
    step: int
    seconds: float


def save(
    folder: Path, reached: Reached, weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> None:
    """Replace the checkpoint in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"weight.{name}": weight.detach().contiguous() for name, weight in weights.items()}
    for at, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{MOMENT}.{at}.{name}": moment.contiguous() for name, moment in state.items()}
    scratch = folder / f"{FILE}.new"
    save_file(tensors, scratch, metadata={"reached": json.dumps(asdict(reached))})
    scratch.replace(folder / FILE)


def load(
    folder: Path, run: str, weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> Reached | None:
    """Restore `weights` and `optimizer` from the checkpoint in `folder` and return how far it had come.

    None, with nothing changed, where there is no checkpoint or it belongs to another run. Raises ModelError where it
    is damaged.
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
            next_step="delete it; training then starts again",
        ) from error
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(tensors[f"weight.{name}"])
    moments: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for key, tensor in tensors.items():
        kind, at, name = key.split(".", 2)
        if kind == MOMENT:
            moments[int(at)][name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": dict(moments)})
    return reached


LOSSES_FILE, PICTURE_FILE = "losses.jsonl", "losses.png"
# A point of the picture is the mean over this many steps with one loss.
SMOOTHED = 25


def logged(folder: Path, progress: OnStep | None) -> OnStep:
    """Write each step into `folder`, a line each; lines that a killed run wrote after its checkpoint are dropped."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOSSES_FILE
    earlier = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    begun = False

    def listen(step: TrainingStep) -> None:
        nonlocal begun
        if not begun:
            path.write_text("".join(earlier[: step.number - 1]), encoding="utf-8")
            begun = True
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(step)) + "\n")
        if progress:
            progress(step)

    return listen


def plot(folder: Path) -> None:
    """Draw the logged losses, a line for each. Raises MissingExtra without matplotlib."""
    points: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for line in (folder / LOSSES_FILE).read_text(encoding="utf-8").splitlines():
        step = json.loads(line)
        for name, loss in step["losses"].items():
            points[name].append((step["number"], loss))
    figure = blank(7, 4)
    axes = figure.subplots()
    for name, of_one in sorted(points.items()):
        pieces = np.array_split(np.array(of_one), -(-len(of_one) // SMOOTHED))
        means = np.array([piece.mean(axis=0) for piece in pieces])
        axes.plot(means[:, 0], means[:, 1], label=name)
    axes.set(xlabel="step", ylabel=f"loss, mean of {SMOOTHED} steps")
    axes.legend(frameon=False)
    figure.savefig(folder / PICTURE_FILE, dpi=130)
