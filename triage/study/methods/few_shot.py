"""Labels scored by how likely a causal language model continues with them after labelled examples.

Source: Brown et al., Language Models are Few-Shot Learners (2020); examples as near to the issue as there are
(Liu et al., What Makes Good In-Context Examples, 2022), the nearest last.

A causal language model that is shown the nearest labelled issues; see triage.study.methods.few_shot.

What a label's words score after other issues is taken off, so that frequent words do not win (Zhao et al.,
Calibrate Before Use, 2021). There is no default model: without one it is not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from triage.arrays import Array, Floats
from triage.errors import ModelError
from triage.finetune.tokenization import encodable, positions
from triage.finetune.weights import Weights
from triage.study.protocol import LabellingTask, MethodContext, Texts, Told
from triage.study.user_models import UserModels, needed, why_not
from triage.text import readable

if TYPE_CHECKING:
    from triage.finetune.weights import Weights

MAX_TOKENS = 1024
ISSUE, LABELS, BETWEEN = "Issue: ", "\nLabels:", ","


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


SHOTS = 4
# Issues that tell how likely a label's words are after any; each costs as much as a query.
USUAL = 16


class FewShot:
    """See `triage.study.protocol.Method`; `causal` names the model."""

    name = "few-shot prompt"
    needs = "train"
    learns = True

    def __init__(self, causal: str | None = None, shots: int = SHOTS) -> None:
        self._causal, self._shots = causal, shots

    @cached_property
    def weights(self) -> Weights:
        """The causal language model. Raises ModelError, MissingExtra."""
        if self._causal is None:
            raise ModelError(
                "no causal language model is at hand",
                likely="none was named, and none is shipped",
                next_step="name one: --model causal=FOLDER or causal=org/name@COMMIT",
            )
        try:
            from triage.finetune.weights import named_weights
        except ModuleNotFoundError as error:
            raise needed(error, "prompting") from None
        return named_weights(self._causal)

    @cached_property
    def identity(self) -> str:
        """See `triage.study.protocol.Method`; raises as `weights` does."""
        return f"{self.name} 1 {self.weights.digest()} {self._shots}"

    def unavailable(self) -> str:
        """Without torch, or without a model."""
        return why_not(lambda: self.weights)

    def fit(self, task: LabellingTask) -> FittedPrompt:
        """The model stays as it is: what is learnt from stands in the prompt. Raises ModelError, MissingExtra."""

        words = [readable(name) for name in task.names]
        return FittedPrompt(Prompted(self.weights, words), words, task, self._shots)


class FittedPrompt:
    """A model and the labelled issues to show."""

    def __init__(self, prompted: Prompted, words: Sequence[str], task: LabellingTask, shots: int) -> None:
        self._prompted, self._words, self._shots = prompted, words, shots
        self._labelled, self._targets, self._seed = task.labelled, task.targets, task.seed
        pool = task.unlabelled if len(task.unlabelled) else task.labelled
        rows = np.linspace(0, max(0, len(pool) - 1), min(USUAL, len(pool))).round().astype(int)
        found = [self._row(pool.texts[row], pool.vectors[row]) for row in rows]
        self._usual = np.mean(found, axis=0) if found else np.zeros(len(words))

    def scores(self, queries: Texts, progress: Told | None = None) -> Array:
        """See `triage.study.protocol.Fitted`; 0.5 where an issue makes a label neither likelier nor less."""
        found = np.empty((len(queries), len(self._words)))
        for at, (text, vector) in enumerate(zip(queries.texts, queries.vectors, strict=True)):
            found[at] = 1 / (1 + np.exp(self._usual - self._row(text, vector)))
            if progress:
                progress(at + 1)
        return found

    def _row(self, text: str, vector: Floats) -> Array:
        return self._prompted.scores(text, self.examples(text, vector))

    def examples(self, text: str, vector: Floats) -> list[Example]:
        """The nearest labelled issues, the nearest last; an issue does not stand before itself.

        Each one's labels are in an order drawn at random, so that none is always named second.
        """

        order = np.argsort(-(self._labelled.vectors @ vector), kind="stable")
        others = [row for row in order.tolist() if self._labelled.texts[row] != text][: self._shots]
        return [Example(self._labelled.texts[row], self._labels(row)) for row in reversed(others)]

    def _labels(self, row: int) -> list[str]:
        carried = np.flatnonzero(self._targets[row])
        drawn = np.random.default_rng([self._seed, row]).permutation(carried)
        return [self._words[label] for label in drawn.tolist()]


def make(means: MethodContext) -> FewShot:
    """The method, with the model that was named."""
    return FewShot(UserModels.of(means.models).causal)
