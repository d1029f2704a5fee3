"""A training run at rest: tensors as safetensors, the rest as JSON; nothing that could run code when read.

A checkpoint is one file, replaced in one step, so that a run killed at any moment finds the last whole one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from triage.errors import ModelError

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
