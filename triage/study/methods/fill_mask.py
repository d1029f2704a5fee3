"""Labels scored as words that a masked language model would put into a gap after the text.

Source: Schick and Schütze, It's Not Just Size That Matters (2021). Words of several tokens get as many masks, and the
likeliest of them is filled in first. A word's usual score, after neutral texts, is subtracted, so that frequent words
do not win (Holtzman et al., Surface Form Competition, 2021). The model is the one that was named, or the encoder
adapted to the issues without labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from triage.arrays import Array
from triage.engine.head import sigmoid
from triage.errors import ConfigError
from triage.finetune.tokenization import positions, token_ids
from triage.finetune.weights import Weights, find_weights
from triage.study import masked_lm
from triage.study.masked_lm import logits_at, open_masked
from triage.study.methods.fine_tuned import adapted
from triage.study.protocol import Fitted, LabellingTask, Method, Texts, spread
from triage.text import readable

MAX_TOKENS = 128
GAP = "{}"


class FillMaskScorer:
    """Words for each label in the gap of a prompt that follows the text; a label scores as its best words do."""

    def __init__(
        self,
        weights: Weights,
        words: Sequence[Sequence[str]],
        prompt: str,
    ) -> None:
        """`words` [L] are ways to say each label, `prompt` has one `{}`.

        Raises ModelError, and ConfigError where words and prompt leave no room for a text.
        """
        self._model, self._tokenizer, _ = open_masked(weights)
        self._model.eval()
        self._limit = min(MAX_TOKENS, positions(self._model, self._tokenizer))
        before, _, after = prompt.partition(GAP)
        self._before, self._after = self._ids(before.strip()), self._ids(after.strip())
        tokens = [[self._ids(f" {way}") for way in ways] for ways in words]
        self._variants = [ids for ways in tokens for ids in ways]
        self._labels = np.repeat(np.arange(len(words)), [len(ways) for ways in tokens])
        longest = max(map(len, self._variants), default=0)
        room = (
            self._limit - self._tokenizer.num_special_tokens_to_add() - len(self._before) - len(self._after)
        )
        if longest > room // 2:
            raise ConfigError(
                f"a label's words take {longest} of the {self._limit} tokens that the model reads",
                likely="a description was given as a name",
                next_step="give the label shorter words",
            )

    def scores(self, texts: Sequence[str], neutral: Sequence[str]) -> Array:
        """How much likelier each label's words are after a text than after the `neutral` ones, [n, L].

        In nats for each token of the words."""
        usual = np.mean([self._row(text) for text in neutral or [""]], axis=0)
        scores = np.full((len(texts), len(set(self._labels.tolist()))), -np.inf)
        for at, text in enumerate(texts):
            np.maximum.at(scores[at], self._labels, self._row(text) - usual)
        return scores

    def _row(self, text: str) -> Array:
        """The logarithm of each variant's probability in the gap, for each of its tokens."""
        ids = self._ids(text)
        scores = np.zeros(len(self._variants))
        for length in sorted({len(variant) for variant in self._variants} - {0}):
            rows = [at for at, variant in enumerate(self._variants) if len(variant) == length]
            scores[rows] = self._filled(ids, [self._variants[at] for at in rows]) / length
        return scores

    def _filled(self, text: list[int], variants: list[list[int]]) -> Array:
        """The logarithm of the probability of variants of one length, in a gap of as many masks."""
        ids, at = self._prompt(text, len(variants[0]))
        wanted = torch.tensor(variants)
        total = torch.zeros(len(variants), dtype=torch.float64)
        # The first look is the same for all variants: nothing is filled in yet.
        logs = self._look(ids[None], at).expand(len(variants), -1, -1)
        filled = ids.repeat(len(variants), 1)
        still = torch.ones_like(wanted, dtype=torch.bool)
        rows = torch.arange(len(variants))
        for left in range(wanted.shape[1], 0, -1):
            of_token = logs.gather(2, wanted[:, :, None])[:, :, 0].masked_fill(~still, -torch.inf)
            best = of_token.argmax(dim=1)
            total += of_token[rows, best]
            still[rows, best] = False
            filled[rows, at[best]] = wanted[rows, best]
            if left > 1:
                logs = self._look(filled, at)
        return total.numpy()

    @torch.inference_mode()
    def _look(self, ids: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of all words at these places of each row, [rows, places, words]."""
        chosen = torch.zeros_like(ids, dtype=torch.bool)
        chosen[:, at] = True
        logits = logits_at(self._model, ids, torch.ones_like(ids), chosen)
        return logits.double().log_softmax(dim=-1).view(len(ids), len(at), -1)

    def _prompt(self, text: list[int], masks: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids of text and prompt, cut to what the model reads at the end of the text, and the places of the masks."""
        mask_id = self._tokenizer.mask_token_id
        tail = [*self._before, *([mask_id] * masks), *self._after]
        room = self._limit - len(tail) - self._tokenizer.num_special_tokens_to_add()
        ids = torch.tensor(self._tokenizer.build_inputs_with_special_tokens([*text[:room], *tail]))
        places = torch.nonzero(ids == mask_id)[:, 0]
        # A text may contain the mask itself; the gap's masks come last.
        return ids, places[-masks:]

    def _ids(self, text: str) -> list[int]:
        return token_ids(self._tokenizer, text)


PROMPT = "this issue is about {}."
# Texts from which the usual score of a label's words is estimated; each costs as much as a query.
USUAL = 32


class FillMask(Method):
    """By the masked language model that was named, or the encoder adapted to the issues."""

    name = "zero-shot, fill-mask"
    needs = "train"
    learns = False

    @cached_property
    def weights(self) -> Weights:
        """The masked language model, or the encoder to adapt. Raises ModelError."""
        return find_weights(self.context.masked or self.context.models.get("weights"))

    @cached_property
    def identity(self) -> str:
        trained = "as named" if self.context.masked else masked_lm.PLAN
        return f"{self.name} 1 {self.weights.digest()} {trained} {PROMPT} []"

    def fit(self, task: LabellingTask) -> FittedGap:
        """Nothing is learnt from labels. Raises ConfigError, DataError, ModelError."""
        scorer = FillMaskScorer(self.prepare(task), [[readable(name)] for name in task.names], PROMPT)
        texts = task.unlabelled.texts
        return FittedGap(scorer, [texts[row] for row in spread(len(texts), USUAL)])

    def prepare(self, task: LabellingTask) -> Weights:
        """The masked language model: as named, or adapted once for the same texts without labels."""
        return self.weights if self.context.masked else adapted(self.weights, task, self.context.home)


class FittedGap(Fitted):
    """A scorer of the labels' words, and neutral texts."""

    def __init__(self, scorer: FillMaskScorer, neutral: Sequence[str]) -> None:
        self._scorer, self._neutral = scorer, neutral

    def scores(self, queries: Texts) -> Array:
        """See `Fitted`; 0.5 where a text makes a label's words neither likelier nor less likely."""
        return sigmoid(self._scorer.scores(queries.texts, self._neutral))
