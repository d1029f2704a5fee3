"""Texts to vectors: L2-normalised mean pooling over the tokens of a small transformer, on the CPU.

Law: a text's vector depends on that text only. Each text is run alone at its exact length, so neither other texts nor
the number of threads change its vector. Source of the pooling: Reimers and Gurevych,
Sentence-BERT (2019), as all-MiniLM-L6-v2 was trained.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from triage.arrays import Floats
from triage.engine.model_folder import BUILTIN, BUILTIN_ENCODER, packed, shipped, unpacked
from triage.engine.onnx import OnnxModel
from triage.errors import ModelError

# Small enough that threads end together, large enough that the pool costs nothing.
CHUNK = 8


class Encoder:
    """An opened encoder: vectors of `dimension` numbers, from at most `max_tokens` tokens of a text."""

    def __init__(self, model: OnnxModel, max_tokens: int) -> None:
        manifest = model.manifest
        if manifest.kind != "encoder":
            raise ModelError(f"{model.folder} holds a {manifest.kind} model where an encoder is needed")
        self._model = model
        self.folder = model.folder
        self.name = manifest.name
        self.dimension = manifest.dimension
        self.max_tokens = max_tokens

    @classmethod
    def load(cls, spec: str | Path = BUILTIN, *, budget: int | None = None) -> Encoder:
        """Open the shipped encoder ("builtin") or a model folder; raises ModelError.

        `budget` lowers the number of tokens read of a text; the model's own limit still holds.
        """
        model = OnnxModel(shipped(BUILTIN_ENCODER) if spec == BUILTIN else Path(spec))
        limit = model.manifest.max_tokens
        return cls(model, limit if budget is None else min(limit, budget))

    def packed(self) -> PackedEncoder:
        """The encoder as a value that can be sent to another process; raises ModelError."""
        return PackedEncoder(packed(self.folder), self.max_tokens)

    @property
    def digest(self) -> str:
        """sha256 (hex) of the model's file hashes and the token limit: equal digests, equal vectors."""
        return hashlib.sha256(f"{self._model.manifest.digest()} {self.max_tokens}".encode()).hexdigest()

    def encode(
        self,
        texts: Sequence[str],
        *,
        threads: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Floats:
        """Unit vectors as float32 [len(texts), dimension]; raises ModelError where one is not finite.

        `threads` (default: one for each usable core) work on different texts; `progress` gets the number of texts
        done, in the calling thread.
        """
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)

        def fill(start: int) -> int:
            stop = min(start + CHUNK, len(texts))
            for at in range(start, stop):
                vectors[at] = self._vector(texts[at], at)
            return stop

        in_threads(fill, range(0, len(texts), CHUNK), progress, threads)
        return vectors

    def _vector(self, text: str, at: int) -> Floats:
        states = self._model.run(self._model.tokens(text, max_tokens=self.max_tokens))
        if states.shape[1:] != (self.dimension,):
            raise ModelError(
                f"{self.name} gave {states.shape}, not one row of {self.dimension} for each token"
            )
        mean: Floats = states.mean(axis=0)
        length = np.linalg.norm(mean)
        if not (np.isfinite(length) and length > 0):
            raise ModelError(f"{self.name} gave a vector of length {length} for text {at}")
        return mean / length


@dataclass(frozen=True)
class PackedEncoder:
    """The files of an encoder and its limit of tokens."""

    files: Mapping[str, bytes]
    max_tokens: int

    def open(self) -> Encoder:
        """Check the files against their hashes and load them; raises ModelError."""
        return Encoder.load(unpacked(self.files), budget=self.max_tokens)


def in_threads(
    work: Callable[[int], int],
    places: Sequence[int],
    progress: Callable[[int], None] | None,
    threads: int | None = None,
) -> None:
    """Call `work` for each place, by default on all usable cores; `progress` gets its results, in order."""
    with ThreadPoolExecutor(threads or usable_cores()) as pool:
        for done in pool.map(work, places):
            if progress:
                progress(done)


def usable_cores() -> int:
    """The cores this process may run on, at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
