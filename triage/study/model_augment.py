"""Texts changed by a model: words in context, and translation there and back.

Words are replaced, or added, by what a masked language model expects in their place (Kobayashi, Contextual
Augmentation, 2018, without the conditioning on labels). Translation there and back gives other words for the same
(Sennrich et al., 2016).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import AutoModelForSeq2SeqLM, PreTrainedTokenizerFast

from triage.errors import ModelError
from triage.finetune.tokenization import encodable, positions
from triage.finetune.weights import Weights
from triage.study.masked_lm import logits_at, open_masked

SHARE = 0.1
# A word is drawn from this many that the model finds likeliest, by their probabilities.
CANDIDATES = 10
MAX_TOKENS = 256
# How tokenizers mark a token that begins a word.
BEGINNINGS = ("Ġ", "▁")
WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True)
class MaskedSpan:
    """A word of a text: its tokens [first, last) and its characters [start, end)."""

    first: int
    last: int
    start: int
    end: int


class Rewriter:
    """A masked language model that rewrites texts."""

    def __init__(self, weights: Weights) -> None:
        """Raises ModelError."""
        self._model, self._tokenizer, _ = open_masked(weights)
        self._model.eval()
        special = self._tokenizer.num_special_tokens_to_add()
        # The added words must fit too.
        self._room = int((min(MAX_TOKENS, positions(self._model, self._tokenizer)) - special) / (1 + SHARE))
        self._words = whole_words(self._tokenizer, self._model.config.vocab_size)

    def rewrite(self, text: str, insert: bool, seed: Sequence[int]) -> str:
        """The text with a tenth of its words replaced, or with a tenth more; the same under the same seed.

        Beyond the tokens that the model reads the text stays as it is.
        """
        text = encodable(text)
        ids, spans = self._spans(text)
        if not spans:
            return text
        rng = np.random.default_rng(seed)
        times = max(1, round(SHARE * len(spans)))
        chosen = [spans[at] for at in sorted(rng.choice(len(spans), size=times, replace=False).tolist())]
        words = self._expected(ids, chosen, insert, rng)
        for span, word in reversed(list(zip(chosen, words, strict=True))):
            before, after = text[: span.start], text[span.start if insert else span.end :]
            text = f"{before}{word}{' ' if insert else ''}{after}"
        return text

    def _spans(self, text: str) -> tuple[list[int], list[MaskedSpan]]:
        """The tokens, and the words of at least two letters among them."""
        encoded = self._tokenizer(
            text,
            add_special_tokens=False,
            return_offsets_mapping=True,
            truncation=True,
            max_length=self._room,
        )
        spans: dict[int, MaskedSpan] = {}
        for at, word in enumerate(encoded.word_ids()):
            if word is not None:
                start, end = encoded["offset_mapping"][at]
                begun = spans.get(word, MaskedSpan(at, at, start, end))
                spans[word] = MaskedSpan(begun.first, at + 1, begun.start, end)
        words = [span for span in spans.values() if WORD.fullmatch(text, span.start, span.end)]
        return encoded["input_ids"], words

    @torch.inference_mode()
    def _expected(
        self, ids: list[int], chosen: Sequence[MaskedSpan], insert: bool, rng: np.random.Generator
    ) -> list[str]:
        """A word drawn for each of the chosen places, which are all masked at once."""
        mask_id, masked, places, done = self._tokenizer.mask_token_id or 0, [], [], 0
        for span in chosen:
            masked += ids[done : span.first]
            places.append(len(masked))
            masked.append(mask_id)
            done = span.first if insert else span.last
        whole = self._tokenizer.build_inputs_with_special_tokens(masked + ids[done:])
        front = self._tokenizer.build_inputs_with_special_tokens([mask_id]).index(mask_id)
        row = torch.tensor([whole])
        asked = torch.zeros_like(row, dtype=torch.bool)
        asked[0, torch.tensor(places) + front] = True
        logits = logits_at(self._model, row, torch.ones_like(row), asked).double()
        logits = logits.masked_fill(~self._words, -torch.inf)
        # A replacement differs from the word, where that is a single token.
        forbidden = [-1 if insert or span.last - span.first > 1 else ids[span.first] for span in chosen]
        return [self._drawn(of_one, token, rng) for of_one, token in zip(logits, forbidden, strict=True)]

    def _drawn(self, logits: torch.Tensor, forbidden: int, rng: np.random.Generator) -> str:
        if forbidden >= 0:
            logits = logits.clone()
            logits[forbidden] = -torch.inf
        best, at = logits.topk(min(CANDIDATES, len(logits)))
        shares = best.softmax(0).numpy()
        return str(
            self._tokenizer.decode([int(at[rng.choice(len(shares), p=shares / shares.sum())])])
        ).strip()


def whole_words(tokenizer: PreTrainedTokenizerFast, size: int) -> torch.Tensor:
    """Which of `size` tokens are words of at least two letters, not pieces of one; bool [size]."""
    tokens = tokenizer.convert_ids_to_tokens(list(range(min(size, len(tokenizer)))))
    mark = next((mark for mark in BEGINNINGS if sum(token.startswith(mark) for token in tokens) > 1), "")
    whole = torch.zeros(size, dtype=torch.bool)
    for at, token in enumerate(tokens):
        whole[at] = token.startswith(mark) and bool(WORD.fullmatch(token.removeprefix(mark)))
    return whole


LINE_TOKENS = 128
BEAMS = 4
# Bounds the length of a translation, as a share of the source's.
LONGEST = 1.5


class Translator:
    """A translation model, line by line; what a long line holds beyond LINE_TOKENS is dropped."""

    def __init__(self, weights: Weights) -> None:
        """Raises ModelError."""
        self._model, self._tokenizer = weights.open_any(AutoModelForSeq2SeqLM)
        self._model.eval()
        if self._tokenizer.pad_token_id is None:
            raise ModelError(f"{weights.folder} has no padding token", next_step="choose another model")

    def translate(self, text: str) -> str:
        """The lines of the text in the other language, by beam search; equal texts give equal ones."""
        return "\n".join(self._line(line) if line.strip() else line for line in encodable(text).split("\n"))

    @torch.inference_mode()
    def _line(self, line: str) -> str:
        encoded = self._tokenizer(line, truncation=True, max_length=LINE_TOKENS, return_tensors="pt")
        ids = encoded["input_ids"]
        translated = self._model.generate(  # type: ignore[operator] # of the mixin that these models have
            input_ids=ids,
            attention_mask=encoded["attention_mask"],
            num_beams=BEAMS,
            do_sample=False,
            max_new_tokens=int(LONGEST * ids.shape[1]) + 8,
        )
        return str(self._tokenizer.decode(translated[0], skip_special_tokens=True)).strip()
