"""Masked language modelling: an encoder adapted to a domain by guessing words of its texts.

Source: Devlin et al., BERT (2019) for the task (15% of the tokens: 80% of these masked, 10% replaced, 10% kept),
Gururangan et al., Don't Stop Pretraining (2020) for adapting before fine-tuning. Words are guessed through the
encoder's own embeddings, tied; where the weights come without a head, as a sentence encoder's do, it starts at random
and from the words' shares in the texts. Adapted models are kept by content: the same texts are learnt once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoConfig, AutoModelForMaskedLM, PreTrainedModel, PreTrainedTokenizerFast

from triage import __version__
from triage.arrays import Indices
from triage.errors import DataError, ModelError
from triage.finetune.tokenization import TokenizedTexts, states
from triage.finetune.training_loop import (
    Batches,
    Loop,
    OnStep,
    Part,
    TrainingSchedule,
    fingerprint_of,
    freeze_words,
)
from triage.finetune.weights import Weights

PLAN = TrainingSchedule(epochs=4, max_tokens=128, batch=32, rate=2e-4)
SHARE, MASKED, REPLACED = 0.15, 0.8, 0.1
# A head that starts at random moves faster than the encoder.
HEAD_SPEED = 10.0
WITH_HEAD = ("ForMaskedLM", "ForPreTraining")


def open_masked(weights: Weights, seed: int = 0) -> tuple[PreTrainedModel, PreTrainedTokenizerFast, bool]:
    """A masked language model, its tokenizer, and whether its head came with the weights.

    A head that did not is drawn under `seed`. Raises ModelError.
    """
    torch.manual_seed(seed)
    model, tokenizer = weights.open(AutoModelForMaskedLM)
    if tokenizer.mask_token_id is None:
        raise ModelError(
            f"{weights.folder} has no mask token",
            likely="it is not a masked language model",
            next_step="choose a model such as BERT",
        )
    came_as = AutoConfig.from_pretrained(weights.folder).architectures or []
    return model, tokenizer, any(name.endswith(WITH_HEAD) for name in came_as)


class Masked:
    """The training of a masked language model on texts; `model` is changed in place."""

    def __init__(
        self,
        weights: Weights,
        texts: Sequence[str],
        plan: TrainingSchedule = PLAN,
    ) -> None:
        self.model, self.tokenizer, trained = open_masked(weights, plan.seed)
        self._texts = TokenizedTexts(self.model, self.tokenizer, texts, plan.max_tokens)
        self._special = torch.tensor(sorted(self.tokenizer.all_special_ids))
        if not trained:
            self._start_from_shares()
        # The head is tied to them: training would only ever push unseen words away.
        freeze_words(self.model)
        own = {
            name for name, _ in self.model.base_model.named_parameters(prefix=self.model.base_model_prefix)
        }
        moved = Part.of(self.model).weights
        parts = [
            Part({name: weight for name, weight in moved.items() if name in own}),
            Part(
                {name: weight for name, weight in moved.items() if name not in own},
                1.0 if trained else HEAD_SPEED,
            ),
        ]
        batches = Batches(self._texts.lengths, [0] * len(texts), plan.batch, plan.seed)
        self._loop = Loop(plan, batches.epoch, parts, self._losses)

    def run(
        self,
        name: str = "",
        folder: Path | None = None,
        progress: OnStep | None = None,
    ) -> int:
        """Train, and return the number of steps done; `folder` keeps checkpoints of the run `name`."""
        self.model.train()
        steps = self._loop.run(name, folder, progress)
        self.model.eval()
        return steps

    def loss(self, texts: Sequence[str], seed: int = 0) -> float:
        """The mean surprise (nats) at a masked token of these texts, the masks drawn under `seed`."""
        tokenized = TokenizedTexts(self.model, self.tokenizer, texts, self._texts.limit)
        torch.manual_seed(seed)
        self.model.eval()
        total, guessed = 0.0, 0
        for at in range(len(texts)):
            with torch.inference_mode():
                surprise, count = self._guess(*tokenized.batch([at]))
            total, guessed = total + surprise.item(), guessed + count
        return total / max(1, guessed)

    def _losses(self, rows: Indices) -> dict[str, Tensor]:
        surprise, count = self._guess(*self._texts.batch(rows))
        return {"masked": surprise / max(1, count)}

    def _guess(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, int]:
        """(the summed surprise (nats) at the masked tokens, how many these are)."""
        words = (mask == 1) & ~torch.isin(ids, self._special)
        chosen = words & (torch.rand(ids.shape) < SHARE)
        logits = logits_at(self.model, self._disguised(ids, chosen), mask, chosen)
        return functional.cross_entropy(logits, ids[chosen], reduction="sum"), int(chosen.sum())

    def _disguised(self, ids: Tensor, chosen: Tensor) -> Tensor:
        fate = torch.rand(ids.shape)
        masked = torch.where(chosen & (fate < MASKED), self.tokenizer.mask_token_id or 0, ids)
        any_word = torch.randint(len(self.tokenizer), ids.shape)
        return torch.where(chosen & (fate >= MASKED) & (fate < MASKED + REPLACED), any_word, masked)

    def _start_from_shares(self) -> None:
        """The head's bias: the logarithm of each word's share, so that training need not learn it."""
        bias = getattr(self.model.get_output_embeddings(), "bias", None)
        if bias is None:
            return
        counts = np.ones(len(bias))
        for at in range(len(self._texts)):
            ids, mask = self._texts.batch([at])
            np.add.at(counts, ids[mask == 1].numpy(), 1)
        with torch.no_grad():
            bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))


def logits_at(model: PreTrainedModel, ids: Tensor, mask: Tensor, chosen: Tensor) -> Tensor:
    """The logits of every word at the `chosen` places (bool, as `ids`), fp32 [places, words].

    The head, a large part of the work, runs at these places only where the architecture names it.
    """
    head = getattr(model, "cls", None) or getattr(model, "lm_head", None)
    if head is None:
        whole: Tensor = model(input_ids=ids, attention_mask=mask).logits
        return whole[chosen].float()
    logits: Tensor = head(states(cast(PreTrainedModel, model.base_model), ids, mask)[chosen])
    return logits.float()


MODEL, CHECKPOINT, SCRATCH = "model", "checkpoint", "model.new"


def adapt(
    texts: Sequence[str],
    weights: Weights,
    home: Path,
    *,
    plan: TrainingSchedule = PLAN,
    progress: OnStep | None = None,
) -> Weights:
    """The weights after training on texts without labels, as a masked language model in a folder of `home`.

    A killed run resumes from its checkpoint; a finished one is not repeated, nor one that the plan's `seconds` ended.
    Raises DataError without a text, ModelError.
    """
    if not texts:
        raise DataError(
            "there is no text to adapt a language model to",
            likely="every issue is labelled and held out",
            next_step="collect more issues; labels are not needed",
        )
    name = fingerprint_of(
        json.dumps({**asdict(plan), "torch": version("torch"), "triage": __version__}),
        json.dumps(list(texts)),
        weights.digest(),
    )
    folder = home / name
    if not (folder / MODEL).is_dir():
        training = Masked(weights, texts, plan)
        training.run(name, folder / CHECKPOINT, progress)
        shutil.rmtree(folder / SCRATCH, ignore_errors=True)
        training.model.save_pretrained(folder / SCRATCH)
        training.tokenizer.save_pretrained(folder / SCRATCH)
        (folder / SCRATCH).replace(folder / MODEL)
        shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    return Weights(folder / MODEL, f"{weights.name}-adapted", weights.origin, weights.licence)
