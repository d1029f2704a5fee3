"""The only home of onnxruntime and tokenizers: a model folder as text in, numbers out.

Both libraries are imported when a model is opened, never when this module is.

How a model runs was measured with the shipped encoder on 2 cores, AVX-512 with VNNI, 120 real issues of 199
tokens on average, as processor time for each text (PyTorch, fp32, batches of 32, takes 109 ms):

    23.0 ms  int8, each text alone at its exact length, without SkipLayerNormFusion: what is done here
    26.5 ms  the same with that fusion, whose kernel is slower than Add and LayerNormalization apart
    23.1 ms  the graph fused by optimum before quantisation (QAttention); loads in 0.03 s instead of 0.05 s
    24.2 ms  the graph optimised and saved beforehand; loads in 0.02 s, but belongs to one onnxruntime
    53.3 ms  fp32

So a graph stays as it was exported, works with every architecture and is optimised when loaded, for the
processor at hand. Threads go over texts, one inside each: two of them do twice the work, and a text alone
has the same numbers in any company (dynamic int8 takes its scales from the whole padded batch).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from triage.arrays import Floats, Ints
from triage.engine.model_folder import MODEL_FILE, TOKENIZER_FILE, ModelManifest, verify
from triage.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Encoding

# More than a token takes in most texts, code among them.
CHARACTERS_A_TOKEN = 6


@dataclass(frozen=True)
class Tokens:
    """One text, or one pair of texts, as the tokenizer cut it; both lists have the same length."""

    ids: list[int]
    type_ids: list[int]


class OnnxModel:
    """A verified model folder, opened: one session that any number of threads may call at once."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Check the folder against its manifest and load it; raises ModelError.

        `threads` are those inside one call; the numbers may differ in the last bit with another count.
        """
        import onnxruntime as ort
        from onnxruntime.capi import onnxruntime_pybind11_state as failures
        from tokenizers import Tokenizer
        from tokenizers.models import WordPiece
        from tokenizers.pre_tokenizers import BertPreTokenizer

        unusable = (failures.Fail, failures.InvalidGraph, failures.InvalidProtobuf, failures.NotImplemented)
        self.folder = folder
        self.manifest: ModelManifest = verify(folder)
        ort.disable_telemetry_events()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        # Every text has another length: plans kept for each shape would only pile up.
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(
                str(folder / MODEL_FILE),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=["SkipLayerNormFusion"],
            )
        except unusable as error:
            raise ModelError(f"onnxruntime cannot load {folder / MODEL_FILE}: {error}") from error
        self._inputs = frozenset(each.name for each in self._session.get_inputs())
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._by_words = isinstance(self._tokenizer.pre_tokenizer, BertPreTokenizer) and isinstance(
            self._tokenizer.model, WordPiece
        )

    def tokens(self, text: str, pair: str | None = None, *, max_tokens: int) -> Tokens:
        """Cut `text` (and `pair`) into at most `max_tokens` tokens, special ones included.

        Where there are too many the end of `text` is dropped, never anything of `pair` (transformers'
        `only_first`). Lone surrogates become question marks.
        """
        second = None if pair is None else self._pieces(_encodable(pair))
        room = max_tokens - self._tokenizer.num_special_tokens_to_add(is_pair=second is not None)
        room = max(0, room - (0 if second is None else len(second)))
        first = self._first(_encodable(text), room)
        first.truncate(room)
        both = self._tokenizer.post_process(first, second)
        return Tokens(both.ids, both.type_ids)

    def _first(self, text: str, room: int) -> Encoding:
        """The tokens of a text, or of so much of its beginning that there are `room`.

        Where words are cut one by one, what follows a space changes nothing before it; the whole of a long text takes
        longer to cut than a small transformer takes for its first 32 tokens.
        """
        end = CHARACTERS_A_TOKEN * room
        if self._by_words and end < len(text):
            start = self._pieces(text[: max(text.rfind(" ", 0, end), text.rfind("\n", 0, end), 0)])
            if len(start) >= room:
                return start
        return self._pieces(text)

    def _pieces(self, text: str) -> Encoding:
        return self._tokenizer.encode(text, add_special_tokens=False)

    def run(self, tokens: Tokens) -> Floats:
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
        """The model's first output for a batch of one, without that axis; what it has no input for is left out."""
        known = {name: value for name, value in feeds.items() if name in self._inputs}
        output: Floats = self._session.run(None, known)[0][0]
        return output


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
