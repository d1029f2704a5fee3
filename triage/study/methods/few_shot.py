"""Labels scored by how likely a causal language model continues with them after labelled examples.

Source: Brown et al., Language Models are Few-Shot Learners (2020); the examples are the nearest labelled issues (Liu et
al., What Makes Good In-Context Examples, 2022), the nearest last. A label's usual score, after other issues, is
subtracted, so that frequent words do not win (Zhao et al., Calibrate Before Use, 2021). There is no default model:
without one the method is not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from triage.arrays import Array, Floats
from triage.engine.head import sigmoid
from triage.errors import ModelError
from triage.finetune.tokenization import positions, token_ids
from triage.finetune.weights import Weights, find_weights
from triage.study.protocol import Fitted, LabellingTask, Method, Texts, spread
from triage.text import readable

MAX_TOKENS = 1024
ISSUE, LABELS, BETWEEN = "Issue: ", "\nLabels:", ","
SHOTS = 4
# Issues from which a label's usual score is estimated; each costs as much as a query.
USUAL = 16


@dataclass(frozen=True)
class Example:
    """A labelled issue to show; its labels are shown in this order."""

    text: str
    labels: Sequence[str]


class Prompted:
    """A causal language model that continues a prompt with one of L label words."""

    def __init__(self, weights: Weights, words: Sequence[str]) -> None:
        """Raises ModelError."""
        self._model, self._tokenizer = weights.open(AutoModelForCausalLM)
        self._model.eval()
        self._words = [self._ids(f" {word}") for word in words]
        limit = min(MAX_TOKENS, positions(self._model, self._tokenizer))
        self._room = limit - max(map(len, self._words), default=0)
        start = self._tokenizer.bos_token_id
        # Only models that were trained with a first token get one.
        self._start = [start] if start in self._tokenizer("")["input_ids"] else []
        self._issue, self._asked, self._gap = self._ids(ISSUE), self._ids(LABELS), self._ids("\n\n")

    def scores(self, text: str, examples: Sequence[Example]) -> Array:
        """The log probability of each label's words, divided by the number of their tokens, [L].

        All texts get an equal share of the tokens that the model reads, and are cut at the end.
        """
        return self._continued(torch.tensor([self.prompt(text, examples)]))

    def prompt(self, text: str, examples: Sequence[Example]) -> list[int]:
        """The tokens that the model continues."""
        shown = [self._ids(BETWEEN.join(f" {label}" for label in example.labels)) for example in examples]
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
        output = self._model(input_ids=ids, use_cache=True)
        longest = max(map(len, self._words), default=0)
        words = torch.tensor([tokens + [0] * (longest - len(tokens)) for tokens in self._words])
        real = torch.tensor([[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens in self._words])
        logs = output.logits[:, -1:].double().log_softmax(-1).expand(len(words), -1, -1)
        if longest > 1:
            output.past_key_values.batch_repeat_interleave(len(words))
            seen = torch.cat([torch.ones(len(words), ids.shape[1], dtype=torch.long), real[:, :-1]], dim=1)
            more = self._model(
                input_ids=words[:, :-1], attention_mask=seen, past_key_values=output.past_key_values
            )
            logs = torch.cat([logs, more.logits.double().log_softmax(-1)], dim=1)
        of_token = logs.gather(2, words[:, :, None])[:, :, 0].masked_fill(real == 0, 0)
        scores: Array = (of_token.sum(dim=1) / real.sum(dim=1).clamp(min=1)).numpy()
        return scores

    def _ids(self, text: str) -> list[int]:
        return token_ids(self._tokenizer, text)


class FewShot(Method):
    """SHOTS labelled issues before each query."""

    name = "few-shot prompt"
    needs = "train"

    @cached_property
    def weights(self) -> Weights:
        """The causal language model. Raises ModelError."""
        causal = self.context.models.get("causal")
        if causal is None:
            raise ModelError(
                "no causal language model was named",
                likely="none is included",
                next_step="name one: --model causal=FOLDER or causal=org/name@COMMIT",
            )
        return find_weights(causal)

    @cached_property
    def identity(self) -> str:
        return f"{self.name} 1 {self.weights.digest()} {SHOTS}"

    def fit(self, task: LabellingTask) -> FittedPrompt:
        """The model stays as it is: the labelled issues go into the prompt. Raises ModelError."""
        words = [readable(name) for name in task.names]
        return FittedPrompt(Prompted(self.weights, words), words, task)


class FittedPrompt(Fitted):
    """A model and the labelled issues to show."""

    def __init__(self, prompted: Prompted, words: Sequence[str], task: LabellingTask) -> None:
        self._prompted, self._words = prompted, words
        self._labelled, self._targets, self._seed = task.labelled, task.targets, task.seed
        pool = task.unlabelled if len(task.unlabelled) else task.labelled
        scores = [self._row(pool.texts[row], pool.vectors[row]) for row in spread(len(pool), USUAL)]
        self._usual = np.mean(scores, axis=0) if scores else np.zeros(len(words))

    def scores(self, queries: Texts) -> Array:
        """See `Fitted`; 0.5 where an issue makes a label neither likelier nor less likely."""
        scores = np.empty((len(queries), len(self._words)))
        for at, (text, vector) in enumerate(zip(queries.texts, queries.vectors, strict=True)):
            scores[at] = sigmoid(self._row(text, vector) - self._usual)
        return scores

    def _row(self, text: str, vector: Floats) -> Array:
        return self._prompted.scores(text, self.examples(text, vector))

    def examples(self, text: str, vector: Floats) -> list[Example]:
        """The nearest labelled issues, the nearest last, without the issue itself.

        The labels of each are in random order, so that none always comes second.
        """
        order = np.argsort(-(self._labelled.vectors @ vector), kind="stable")
        others = [row for row in order.tolist() if self._labelled.texts[row] != text][:SHOTS]
        return [Example(self._labelled.texts[row], self._labels(row)) for row in reversed(others)]

    def _labels(self, row: int) -> list[str]:
        carried = np.flatnonzero(self._targets[row])
        drawn = np.random.default_rng([self._seed, row]).permutation(carried)
        return [self._words[label] for label in drawn.tolist()]
