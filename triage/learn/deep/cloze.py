"""Labels scored as words that a masked language model would put into a gap after the text.

Source: Schick and Schütze, It's Not Just Size That Matters (2021). Words of several tokens get as many
masks, and the likeliest of them is filled in first. What a word scores after no text in particular is taken
off, so that frequent words do not win (Holtzman et al., Surface Form Competition, 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from triage.errors import ConfigError
from triage.learn.deep.masked import logits_at, open_masked
from triage.learn.deep.reading import encodable, positions
from triage.learn.deep.weights import Weights

MAX_TOKENS = 128
Array = npt.NDArray[np.float64]
GAP = "{}"


class Cloze:
    """Words for each label in the gap of a prompt that follows the text; a label scores as its best words do."""

    def __init__(
        self,
        weights: Weights,
        words: Sequence[Sequence[str]],
        prompt: str,
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        """`words` [L] are ways to say each label, `prompt` has one `{}`.

        Raises ModelError, and ConfigError where words and prompt leave no room for a text.
        """
        self._model, self._tokenizer, _ = open_masked(weights)
        self._model.eval()
        self._limit = min(max_tokens, positions(self._model, self._tokenizer))
        before, _, after = prompt.partition(GAP)
        self._before, self._after = self._ids(before.strip()), self._ids(after.strip())
        said = [[self._ids(f" {each}") for each in ways] for ways in words]
        self._variants = [ids for ways in said for ids in ways]
        self._labels = np.repeat(np.arange(len(words)), [len(ways) for ways in said])
        longest = max(map(len, self._variants), default=0)
        room = (
            self._limit - self._tokenizer.num_special_tokens_to_add() - len(self._before) - len(self._after)
        )
        if longest > room // 2:
            raise ConfigError(
                f"a label's words take {longest} of the {self._limit} tokens that the model reads",
                likely="a description stands in for a name",
                next_step="give the label shorter words",
            )

    def scores(
        self, texts: Sequence[str], neutral: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> Array:
        """How much likelier each label's words are after a text than after the `neutral` ones, [n, L].

        In nats for each token of the words."""
        usual = np.mean([self._row(text) for text in neutral or [""]], axis=0)
        found = np.full((len(texts), len(set(self._labels.tolist()))), -np.inf)
        for at, text in enumerate(texts):
            np.maximum.at(found[at], self._labels, self._row(text) - usual)
            if progress:
                progress(at + 1)
        return found

    def _row(self, text: str) -> Array:
        """The logarithm of each variant's probability in the gap, for each of its tokens."""
        ids = self._ids(text)
        found = np.zeros(len(self._variants))
        for length in sorted({len(variant) for variant in self._variants} - {0}):
            rows = [at for at, variant in enumerate(self._variants) if len(variant) == length]
            found[rows] = self._filled(ids, [self._variants[at] for at in rows]) / length
        return found

    def _filled(self, text: list[int], variants: list[list[int]]) -> Array:
        """The logarithm of the probability of variants of one length, in a gap of as many masks."""
        ids, at = self._prompt(text, len(variants[0]))
        wanted = torch.tensor(variants)
        total = torch.zeros(len(variants), dtype=torch.float64)
        # The first look is the same for all: nothing is filled in yet.
        logs = self._look(ids[None], at).expand(len(variants), -1, -1)
        filled = ids.repeat(len(variants), 1)
        still = torch.ones_like(wanted, dtype=torch.bool)
        rows = torch.arange(len(variants))
        for left in range(wanted.shape[1], 0, -1):
            told = logs.gather(2, wanted[:, :, None])[:, :, 0].masked_fill(~still, -torch.inf)
            best = told.argmax(dim=1)
            total += told[rows, best]
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
        # A text may spell the mask itself; the gap's masks come last.
        return ids, places[-masks:]

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer(encodable(text), add_special_tokens=False)["input_ids"]
        return found
