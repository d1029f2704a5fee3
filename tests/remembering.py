"""The shipped models are opened once in a process, and asked the same thing once in a run of the tests.

A model is a function of its input: what it answered is kept, in memory and in a folder that all workers of the run
share. So a retraining, which asks the models hundreds of times, costs what the first one did not ask. Everything
around the models (cleaning, tokens, layout, pooling, the vote) is done each time. Tests whose question is what a model
answers take the marker `real_models`.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from triage.arrays import Floats
from triage.engine.encoder import OnnxModel

Feeds = Mapping[str, npt.NDArray[np.int64]]
SHIPPED = Path(__file__).resolve().parents[1] / "model_cache"
OPEN, ANSWER = OnnxModel.__init__, OnnxModel.answer


class Memory:
    """What the shipped models answered: by model, threads and input. Nothing is remembered while `off`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder, self.off = folder, False
        self._opened: dict[tuple[Path, int], dict[str, object]] = {}
        self._answers: dict[str, Floats] = {}

    def open(self, model: OnnxModel, folder: Path, threads: int = 1) -> None:
        """In the place of the constructor."""
        if self.off or SHIPPED not in folder.resolve().parents:
            OPEN(model, folder, threads)
            return
        key = folder.resolve(), threads
        if key not in self._opened:
            OPEN(model, folder, threads)
            self._opened[key] = {**vars(model), "answers_of": f"{model.manifest.digest()} {threads}"}
        vars(model).update(self._opened[key])

    def answer(self, model: OnnxModel, feeds: Feeds) -> Floats:
        """In the place of the method."""
        known: str | None = vars(model).get("answers_of")
        if self.off or known is None:
            return ANSWER(model, feeds)
        key = _digest(known, feeds)
        if key not in self._answers:
            path = self._folder / f"{key}.npy"
            if not path.exists():
                _write(path, ANSWER(model, feeds))
            found: Floats = np.load(path)
            found.flags.writeable = False
            self._answers[key] = found
        return self._answers[key]


def _digest(known: str, feeds: Feeds) -> str:
    digest = hashlib.sha256(known.encode())
    for name, value in sorted(feeds.items()):
        digest.update(f"{name} {value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _write(path: Path, answer: Floats) -> None:
    handle, part = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        np.save(file, answer)
    Path(part).replace(path)


@pytest.fixture(scope="session", autouse=True)
def memory(shared_folder: Path) -> Iterator[Memory]:
    """Of all that runs in this process."""
    found = Memory(shared_folder / "answers")

    def opened(model: OnnxModel, folder: Path, threads: int = 1) -> None:
        found.open(model, folder, threads)

    def answer(model: OnnxModel, feeds: Feeds) -> Floats:
        return found.answer(model, feeds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OnnxModel, "__init__", opened)
        patch.setattr(OnnxModel, "answer", answer)
        yield found


@pytest.fixture(autouse=True)
def _real_models(request: pytest.FixtureRequest, memory: Memory) -> Iterator[None]:
    memory.off = request.node.get_closest_marker("real_models") is not None
    yield
    memory.off = False
