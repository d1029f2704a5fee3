"""The zero-shot cross-encoder: an issue and all labels in question in one run of the transformer.

The tokens of the issue come first, then those of each label. An issue's tokens attend to the issue only, a label's to
the issue and that label. So each label is read against every word of the issue in every layer, as in a cross-encoder
for pairs, while its score does not depend on the other labels, and the issue is processed once instead of once a label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from triage.engine.zero_shot.cross_encoder import LABEL_TOKENS, Sheet, lay_out
from triage.finetune.tokenization import WIDTHS, fast_halves
from triage.finetune.training_loop import Part
from triage.training.corpus import Group, draw, phrase, renamed, some_rows, varied
from triage.training.multitask import MultitaskSchedule, MultitaskTraining, quicken

# Repositories in a batch; the most labels shown with an issue, and the most of them that it carries.
GROUPS = 4
MOST_SHOWN, MOST_CARRIED = 8, 4
RANK_WEIGHT = 0.5
START_SCALE, START_BIAS = math.log(8.0), -3.0
# Two layers start at random, the encoder does not.
HEAD_RATE = 10.0


class CrossEncoderNetwork(torch.nn.Module):
    """A transformer with a small head that turns pooled issue and label into one logit for each label."""

    def __init__(self, encoder: PreTrainedModel) -> None:
        super().__init__()
        width = int(encoder.config.hidden_size)
        self.encoder = encoder
        self.mixed = torch.nn.Linear(3 * width, width)
        self.out = torch.nn.Linear(width, 1)
        self.scale = torch.nn.Parameter(torch.tensor(START_SCALE))
        torch.nn.init.zeros_(self.out.weight)
        torch.nn.init.constant_(self.out.bias, START_BIAS)

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor,
        position_ids: Tensor,
        segments: Tensor,
        numbers: Tensor,
    ) -> Tensor:
        """Logits [b, n]. The first four are [b, t]; `segments` number the labels from 1, 0 is the issue, -1
        padding; `numbers` are 0 to n.
        """
        own = segments[:, None, :] == segments[:, :, None]
        visible = (own | (segments[:, None, :] == 0)).float()
        states = self.encoder(
            input_ids=input_ids,
            attention_mask=visible,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
        ).last_hidden_state.float()
        members = (segments[:, None, :] == numbers[None, :, None]).float()
        pooled = (members @ states) / members.sum(dim=2, keepdim=True).clamp(min=1)
        labels = pooled[:, 1:]
        issue = pooled[:, :1].expand(-1, labels.shape[1], -1)
        cosines = functional.cosine_similarity(issue, labels, dim=-1)
        mixed = functional.gelu(self.mixed(torch.cat([issue, labels, issue * labels], dim=-1)))
        logits: Tensor = self.out(mixed).squeeze(-1) + self.scale.exp() * cosines
        return logits


@dataclass(frozen=True)
class Question:
    """A text, the label phrases it is asked about, and which of them it carries."""

    text: str
    phrases: Sequence[str]
    carried: Sequence[bool]


class CrossEncoderObjective(MultitaskTraining):
    """The training of a cross-encoder to predict which of some labels of its repository an issue carries.

    Two losses are added: logistic for each label, so that scores can be thresholded, and the softmax over the labels
    shown, so that the right ones rank first.
    """

    def __init__(
        self,
        model: CrossEncoderNetwork,
        tokenizer: PreTrainedTokenizerFast,
        groups: Sequence[Group],
        plan: MultitaskSchedule,
    ) -> None:
        quicken(model.encoder)
        head = {name: weight for name, weight in model.named_parameters() if not name.startswith("encoder.")}
        super().__init__([Part.of(model.encoder, "encoder."), Part(head, HEAD_RATE)], plan)
        self.model, self._tokenizer = model, tokenizer
        self._labelled = [g for g in groups if len(g.labels) > 1 and len(g.labelled) >= plan.batch // 4]

    def objective(self, step: int, rng: np.random.Generator) -> tuple[str, Tensor]:  # noqa: ARG002
        """See `MultitaskTraining`."""
        questions = [
            question(group, row, rng)
            for group in (
                draw(self._labelled, [len(g.labelled) for g in self._labelled], rng) for _ in range(GROUPS)
            )
            for row in some_rows(group, self.plan.batch // GROUPS, rng)
        ]
        logits, truth, shown = self.judge(questions)
        single = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        shares = truth / truth.sum(dim=1, keepdim=True).clamp(min=1)
        ranked = functional.log_softmax(logits.masked_fill(~shown, -1e4), dim=1)
        return "judging", (single * shown).sum() / shown.sum() - RANK_WEIGHT * (shares * ranked).sum(
            dim=1
        ).mean()

    def judge(self, questions: Sequence[Question]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, the truth, and which of the columns are labels shown: all [b, n]."""
        texts = self._tokens([q.text for q in questions], self.plan.max_tokens)
        sheets = [
            lay_out(text, self._tokens(q.phrases, LABEL_TOKENS))
            for text, q in zip(texts, questions, strict=True)
        ]
        most = max(len(q.phrases) for q in questions)
        truth, shown = torch.zeros(len(questions), most), torch.zeros(len(questions), most, dtype=torch.bool)
        for row, q in enumerate(questions):
            truth[row, : len(q.carried)] = torch.tensor(q.carried, dtype=torch.float32)
            shown[row, : len(q.carried)] = True
        with torch.autocast("cpu", torch.bfloat16, enabled=fast_halves()):
            logits = self.model(*stacked(sheets), torch.arange(most + 1)).float()
        return logits, truth, shown

    def _tokens(self, texts: Sequence[str], limit: int) -> list[list[int]]:
        tokens: list[list[int]] = self._tokenizer(list(texts), truncation=True, max_length=limit)["input_ids"]
        return tokens


def question(group: Group, row: int, rng: np.random.Generator) -> Question:
    """An issue with some of its labels and some others of its repository, in random order and wording."""
    carried = rng.permutation(group.carried[row])[:MOST_CARRIED].tolist()
    others = [int(at) for at in rng.permutation(len(group.labels)) if int(at) not in set(group.carried[row])]
    shown = rng.permutation([*carried, *others[: MOST_SHOWN - len(carried)]]).tolist()
    names = renamed(group, rng)
    return Question(
        varied(group, row, rng),
        [phrase(names[at], rng) for at in shown],
        [at in set(carried) for at in shown],
    )


def stacked(sheets: Sequence[Sheet]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The sheets as one batch, [b, t] each, padded to a multiple of WIDTHS."""
    longest = -(-max(len(sheet.ids) for sheet in sheets) // WIDTHS) * WIDTHS

    def column(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
        return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows])

    return (
        column([sheet.ids for sheet in sheets], 0),
        column([sheet.types for sheet in sheets], 0),
        column([sheet.positions for sheet in sheets], 0),
        column([sheet.segments for sheet in sheets], -1),
    )
