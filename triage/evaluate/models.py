"""Which models the methods of the study may use, as the user names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from triage.engine.models import pulled_root
from triage.evaluate.method import Told


def _home() -> Path:
    return pulled_root().parent / "adapted"


def _silent(title: str, total: int) -> Told:  # noqa: ARG001 - as triage.progress.bar
    return lambda done: None


@dataclass(frozen=True)
class Models:
    """Each a folder or a pinned hub model, `org/name@COMMIT`; None: what is shipped, or nothing.

    `nli` judges entailment (a model folder of the project, or a hub model with ONNX); `masked` guesses
    masked words (None: `weights`, adapted to the issues); `causal` continues a prompt; `translate` is a pair,
    there and back; `weights` is the encoder that is fine-tuned (None: the shipped one's). `home` keeps what
    was adapted, by content; `bar` is told of long training, as `triage.progress.bar`.
    """

    nli: str | None = None
    masked: str | None = None
    causal: str | None = None
    translate: tuple[str, str] | None = None
    weights: str | None = None
    home: Path = field(default_factory=_home)
    bar: Callable[[str, int], Told] = _silent
