"""Tokenized texts: cut to length, padded in batches, pooled as the encoder is served."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from triage.arrays import Indices

# Batches are padded to a multiple of this many tokens: torch keeps buffers for each width that occurs.
WIDTHS = 16


class TokenizedTexts:
    """Texts in at most `max_tokens` tokens each, and never more than the model has positions for."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        texts: Sequence[str],
        max_tokens: int,
    ) -> None:
        self.limit = min(max_tokens, positions(model, tokenizer))
        self._pad = tokenizer.pad_token_id or 0
        readable = [encodable(text) for text in texts]
        self._tokens: list[list[int]] = (
            tokenizer(readable, truncation=True, max_length=self.limit)["input_ids"] if readable else []
        )

    def __len__(self) -> int:
        return len(self._tokens)

    @property
    def lengths(self) -> list[int]:
        """The tokens of each text."""
        return [len(tokens) for tokens in self._tokens]

    def batch(self, rows: Indices | Sequence[int]) -> tuple[Tensor, Tensor]:
        """Ids and mask of these texts, int64 [n, width]; the mask is 0 where a row is padding."""
        tokens = [self._tokens[i] for i in rows]
        longest = min(self.limit, -(-max(map(len, tokens)) // WIDTHS) * WIDTHS)
        ids = torch.tensor([row + [self._pad] * (longest - len(row)) for row in tokens])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in tokens])
        return ids, mask


def positions(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> int:
    """The most tokens that model and tokenizer take."""
    return min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 512))


def states(model: PreTrainedModel, ids: Tensor, mask: Tensor) -> Tensor:
    """The last hidden states, fp32 [n, width, d]."""
    with torch.autocast("cpu", torch.bfloat16, enabled=fast_halves()):
        hidden: Tensor = model(input_ids=ids, attention_mask=mask).last_hidden_state
    return hidden.float()


def summed(model: PreTrainedModel, ids: Tensor, mask: Tensor) -> Tensor:
    """The sum of each text's states over its tokens, fp32 [n, d]."""
    return (states(model, ids, mask) * mask[:, :, None]).sum(dim=1)


def token_ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """The tokens of a text, all of them, without special ones around."""
    ids: list[int] = tokenizer(encodable(text), add_special_tokens=False)["input_ids"]
    return ids


def unit_vectors(
    model: PreTrainedModel, texts: TokenizedTexts, rows: Indices | Sequence[int] | None = None
) -> Tensor:
    """Unit vectors of these texts (None: all), fp32 [n, d], pooled as the encoder is served: the mean over tokens."""
    ids, mask = texts.batch(range(len(texts)) if rows is None else rows)
    return functional.normalize(summed(model, ids, mask), dim=1)


def encodable(text: str) -> str:
    """The text with lone surrogates as question marks, as labelling reads it."""
    return text.encode("utf-8", "replace").decode("utf-8")


def fast_halves() -> bool:
    """Whether the processor multiplies bfloat16, which takes 0.6 of the time of fp32; others emulate it slowly."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
