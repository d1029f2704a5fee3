"""Texts translated there and back: other words for the same (Sennrich et al., 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import AutoModelForSeq2SeqLM

from triage.errors import ModelError
from triage.finetune.tokenization import encodable
from triage.finetune.weights import Weights

MAX_TOKENS = 128
BEAMS = 4
# A translation may grow, not run away.
LONGEST = 1.5


class Translator:
    """A translation model, line by line; what it does not read of a long line is left out."""

    def __init__(self, weights: Weights, beams: int = BEAMS) -> None:
        """Raises ModelError."""
        self._model, self._tokenizer = weights.open_any(AutoModelForSeq2SeqLM)
        self._model.eval()
        self._beams = beams
        if self._tokenizer.pad_token_id is None:
            raise ModelError(f"{weights.folder} has no padding token", next_step="choose another model")

    def translate(self, text: str) -> str:
        """The lines of the text in the other language, by beam search; equal texts give equal ones."""
        return "\n".join(self._line(line) if line.strip() else line for line in encodable(text).split("\n"))

    @torch.inference_mode()
    def _line(self, line: str) -> str:
        read = self._tokenizer(line, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        ids = read["input_ids"]
        found = self._model.generate(  # type: ignore[operator] # of the mixin that these models have
            input_ids=ids,
            attention_mask=read["attention_mask"],
            num_beams=self._beams,
            do_sample=False,
            max_new_tokens=int(LONGEST * ids.shape[1]) + 8,
        )
        return str(self._tokenizer.decode(found[0], skip_special_tokens=True)).strip()


def back_translated(texts: Sequence[str], there: Translator, back: Translator) -> list[str]:
    """Each text by way of the other language."""
    return [back.translate(there.translate(text)) for text in texts]
