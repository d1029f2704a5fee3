"""A masked language model adapted to the texts at hand, kept by content: the same texts are learnt once."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from triage import __version__
from triage.errors import DataError
from triage.learn.deep.loop import Done, Plan
from triage.learn.deep.masked import PLAN, Masked
from triage.learn.deep.weights import Weights

MODEL, CHECKPOINT, SCRATCH = "model", "checkpoint", "model.new"


def adapt(
    texts: Sequence[str],
    weights: Weights,
    home: Path,
    *,
    plan: Plan = PLAN,
    progress: Callable[[Done], None] | None = None,
) -> Weights:
    """The weights after training on texts without labels, as a masked language model in a folder of `home`.

    A run that was killed goes on where it stood; one that was finished is not run again, nor one that the
    plan's `seconds` ended. Raises DataError without a text, ModelError.
    """
    if not texts:
        raise DataError(
            "there is no text to adapt a language model to",
            likely="every issue is labelled and held out",
            next_step="collect more issues; labels are not needed",
        )
    name = _fingerprint(texts, weights, plan)
    folder = home / name
    if not (folder / MODEL).is_dir():
        run = Masked(weights, texts, plan)
        run.run(name, folder / CHECKPOINT, progress)
        shutil.rmtree(folder / SCRATCH, ignore_errors=True)
        run.model.save_pretrained(folder / SCRATCH)
        run.tokenizer.save_pretrained(folder / SCRATCH)
        (folder / SCRATCH).replace(folder / MODEL)
        shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    return Weights(folder / MODEL, f"{weights.name}-adapted", weights.origin, weights.licence)


def _fingerprint(texts: Sequence[str], weights: Weights, plan: Plan) -> str:
    """sha256 (hex) of all that decides what training gives."""
    state = hashlib.sha256()
    for part in (
        json.dumps({**asdict(plan), "torch": version("torch"), "triage": __version__}),
        json.dumps(list(texts)),
        weights.digest(),
    ):
        state.update(hashlib.sha256(part.encode("utf-8", "surrogatepass")).digest())
    return state.hexdigest()
