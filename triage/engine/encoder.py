"""Models in ONNX, by onnxruntime and tokenizers, and the encoder: texts to vectors on the CPU.

Both libraries are imported here only, when a model is opened. The encoder takes the L2-normalised mean over the tokens
of a small transformer. Source of the pooling: Reimers and Gurevych, Sentence-BERT (2019), as all-MiniLM-L6-v2 was
trained.

Law: a text's vector depends on that text alone. Each text is run by itself at its exact length, since dynamic int8
takes its scales from the whole padded batch; threads work on different texts.

Graphs are stored as exported, and optimised for the processor when they are loaded: other ways were measured to be
slower, or bind a graph to one onnxruntime (benchmarks/README.md, "Encoding a text").
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from triage.arrays import AnyArray, Floats, Ints
from triage.engine.model_folder import (
    BUILTIN,
    BUILTIN_ENCODER,
    MAX_BYTES,
    MODEL_FILE,
    TOKENIZER_FILE,
    ModelManifest,
    packed,
    shipped,
    unpacked,
    verify,
)
from triage.errors import BundleError, ModelError
from triage.files import read, view

if TYPE_CHECKING:
    from tokenizers import Encoding

# More than the length of a token in most texts, including code.
CHARACTERS_A_TOKEN = 6
# Small enough that threads end together, large enough that the pool costs nothing.
CHUNK = 8


class OnnxModel:
    """An opened model folder; any number of threads may call it at once."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Check the folder against its manifest and load it; raises ModelError.

        `threads` work within one call; with another number of them, results may differ in the last bit.
        """
        # Its telemetry is off: triage/__init__.py set the variable before any import.
        import onnxruntime as ort
        from tokenizers import Tokenizer
        from tokenizers.models import WordPiece
        from tokenizers.pre_tokenizers import BertPreTokenizer

        self.folder, self.threads = folder, threads
        self.manifest: ModelManifest = verify(folder)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        # Texts have different lengths: memory plans for each shape would only accumulate.
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(
                str(folder / MODEL_FILE),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=["SkipLayerNormFusion"],
            )
        except Exception as error:
            raise ModelError(f"onnxruntime cannot load {folder / MODEL_FILE}: {error}") from error
        self._inputs = frozenset(node.name for node in self._session.get_inputs())
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        except Exception as error:
            raise ModelError(f"tokenizers cannot load {folder / TOKENIZER_FILE}: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._by_words = isinstance(self._tokenizer.pre_tokenizer, BertPreTokenizer) and isinstance(
            self._tokenizer.model, WordPiece
        )

    def __reduce__(self) -> tuple[Callable[..., OnnxModel], tuple[object, ...]]:
        """Pickled as the files of the folder, which are checked again when they are opened. Raises ModelError."""
        return _reopened, (packed(self.folder), self.threads)

    def tokens(self, text: str, pair: str | None = None, *, max_tokens: int) -> Encoding:
        """At most `max_tokens` tokens of `text` (and `pair`), including special ones.

        The end of `text` is cut off, never `pair` (transformers' `only_first`). Lone surrogates become question marks.
        """
        second = None if pair is None else self._pieces(_encodable(pair))
        room = max_tokens - self._tokenizer.num_special_tokens_to_add(is_pair=second is not None)
        room = max(0, room - (0 if second is None else len(second)))
        first = self._first(_encodable(text), room)
        first.truncate(room)
        both: Encoding = self._tokenizer.post_process(first, second)
        return both

    def _first(self, text: str, room: int) -> Encoding:
        """The tokens of a text, or at least `room` of its beginning.

        A tokenizer of single words cuts the text before a space the same whatever follows. Tokenizing all of a long
        text takes longer than running a small transformer on its first 32 tokens.
        """
        end = CHARACTERS_A_TOKEN * room
        if self._by_words and end < len(text):
            start = self._pieces(text[: max(text.rfind(" ", 0, end), text.rfind("\n", 0, end), 0)])
            if len(start) >= room:
                return start
        return self._pieces(text)

    def _pieces(self, text: str) -> Encoding:
        return self._tokenizer.encode(text, add_special_tokens=False)

    def run(self, tokens: Encoding) -> Floats:
        """The model's first output for one text alone, without the batch axis."""
        ids = np.array([tokens.ids], dtype=np.int64)
        return self.answer(
            {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.array([tokens.type_ids], dtype=np.int64),
            }
        )

    def answer(self, feeds: Mapping[str, Ints]) -> Floats:
        """The model's first output for a batch of one, without the batch axis; ignores feeds it has no input for.

        Raises ModelError where the model fails, or gives anything but numbers.
        """
        inputs = {name: value for name, value in feeds.items() if name in self._inputs}
        try:
            output: Floats = np.asarray(self._session.run(None, inputs)[0][0])
        except Exception as error:
            raise ModelError(f"{self.manifest.name} cannot be run: {error}") from error
        if output.dtype.kind != "f":
            raise ModelError(f"{self.manifest.name} gave {output.dtype} where numbers belong")
        return output


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


class Encoder:
    """An opened encoder: vectors of `dimension` numbers, from at most `max_tokens` tokens of a text."""

    def __init__(self, model: OnnxModel, max_tokens: int) -> None:
        manifest = model.manifest
        if manifest.kind != "encoder":
            raise ModelError(f"{model.folder} holds a {manifest.kind} model where an encoder is needed")
        self._model, self.manifest, self.folder = model, manifest, model.folder
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

    def array(self, name: str) -> AnyArray | None:
        """The array in a file of the model's folder, which was checked when it was opened; None where it has none.

        Raises ModelError.
        """
        path = self.folder / name
        if name not in self.manifest.files:
            return None
        try:
            return view(read(path, MAX_BYTES), str(path))
        except OSError as error:
            raise ModelError(f"cannot read {path}: {error}") from error
        except BundleError as error:
            raise ModelError(error.what) from error

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of the model's file hashes and the token limit: equal digests, equal vectors."""
        return hashlib.sha256(f"{self.manifest.digest()} {self.max_tokens}".encode()).hexdigest()

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


def _reopened(files: Mapping[str, bytes], threads: int) -> OnnxModel:
    return OnnxModel(unpacked(files), threads)


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
