"""Labels scored by how likely a causal language model continues with them after labelled examples.

Source: Brown et al., Language Models are Few-Shot Learners (2020); examples as near to the issue as there are
(Liu et al., What Makes Good In-Context Examples, 2022), the nearest last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForCausalLM

from triage.learn.deep.reading import encodable, positions
from triage.learn.deep.weights import Weights

MAX_TOKENS = 1024
ISSUE, LABELS, BETWEEN = "Issue: ", "\nLabels:", ","
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """A labelled issue to show; its labels are shown in this order."""

    text: str
    labels: Sequence[str]


class Prompted:
    """A causal language model that continues a prompt with one of L label words."""

    def __init__(self, weights: Weights, words: Sequence[str], max_tokens: int = MAX_TOKENS) -> None:
        """Raises ModelError."""
        self._model, self._tokenizer = weights.open(AutoModelForCausalLM)
        self._model.eval()
        self._words = [self._ids(f" {word}") for word in words]
        limit = min(max_tokens, positions(self._model, self._tokenizer))
        self._room = limit - max(map(len, self._words), default=0)
        start = self._tokenizer.bos_token_id
        # Only models that were trained with a first token get one.
        self._start = [start] if start in self._tokenizer("")["input_ids"] else []
        self._issue, self._asked, self._gap = self._ids(ISSUE), self._ids(LABELS), self._ids("\n\n")

    def scores(self, text: str, examples: Sequence[Example]) -> Array:
        """The logarithm of the probability of each label's words, for each of their tokens, [L].

        Texts share what the model can read equally; their ends are cut.
        """
        return self._continued(torch.tensor([self.prompt(text, examples)]))

    def prompt(self, text: str, examples: Sequence[Example]) -> list[int]:
        """The tokens that the model continues."""
        shown = [self._labels(example.labels) for example in examples]
        around = len(self._issue) + len(self._asked) + len(self._gap)
        fixed = len(self._start) + sum(map(len, shown)) + around * (len(examples) + 1)
        share = max(1, (self._room - fixed) // (len(examples) + 1))
        ids = list(self._start)
        for example, labels in zip(examples, shown, strict=True):
            ids += [*self._issue, *self._ids(example.text)[:share], *self._asked, *labels, *self._gap]
        ids += [*self._issue, *self._ids(text)[:share], *self._asked]
        return ids[-self._room :]

    @torch.inference_mode()
    def _continued(self, ids: torch.Tensor) -> Array:
        told = self._model(input_ids=ids, use_cache=True)
        longest = max(map(len, self._words), default=0)
        words = torch.tensor([each + [0] * (longest - len(each)) for each in self._words])
        real = torch.tensor([[1] * len(each) + [0] * (longest - len(each)) for each in self._words])
        logs = told.logits[:, -1:].double().log_softmax(-1).expand(len(words), -1, -1)
        if longest > 1:
            told.past_key_values.batch_repeat_interleave(len(words))
            seen = torch.cat([torch.ones(len(words), ids.shape[1], dtype=torch.long), real[:, :-1]], dim=1)
            more = self._model(
                input_ids=words[:, :-1], attention_mask=seen, past_key_values=told.past_key_values
            )
            logs = torch.cat([logs, more.logits.double().log_softmax(-1)], dim=1)
        each = logs.gather(2, words[:, :, None])[:, :, 0].masked_fill(real == 0, 0)
        found: Array = (each.sum(dim=1) / real.sum(dim=1).clamp(min=1)).numpy()
        return found

    def _labels(self, labels: Sequence[str]) -> list[int]:
        return self._ids(BETWEEN.join(f" {label}" for label in labels))

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer(encodable(text), add_special_tokens=False)["input_ids"]
        return found
