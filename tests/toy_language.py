"""Tiny models of a made-up language: pairs of words that always stand together, labels that follow from words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from triage.arrays import Mask
from triage.config import Config
from triage.learn.recipe import Engines
from triage.study.protocol import LabellingTask, MethodContext, Texts

PAIRS = [("salt", "pepper"), ("bread", "butter"), ("lock", "key"), ("thunder", "rain"), ("cup", "saucer")]
LABELS = ("kitchen", "weather")
SAID = ("zo", "ba", "tu", "mi", "re")
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *(word for pair in PAIRS for word in pair),
    *LABELS,
    *("this", "issue", "is", "about", ".", *SAID),
]


def pairs_of(n: int, *, seed: int) -> list[str]:
    """`n` texts of two to four pairs; within a pair a word tells the other."""
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(len(PAIRS), size=rng.integers(2, 5)) for _ in range(n)]
    return [" ".join(word for at in row for word in PAIRS[at]) for row in drawn]


def labelled_texts(n: int, *, seed: int) -> tuple[list[str], Mask]:
    """`n` texts of filler with a word of the kitchen, of the weather, or of both, and their labels [n, 2]."""
    rng = np.random.default_rng(seed)
    texts, targets = [], np.zeros((n, 2), dtype=np.bool_)
    for row in targets:
        row[:] = [(True, False), (False, True), (True, True)][rng.choice(3, p=[0.4, 0.4, 0.2])]
        words = [str(word) for word in rng.choice(SAID, size=rng.integers(2, 6))]
        for label in np.flatnonzero(row):
            telling = [("salt", "butter", "cup"), ("thunder", "rain")][label]
            words.insert(int(rng.integers(len(words) + 1)), str(rng.choice(telling)))
        texts.append(" ".join(words))
    return texts, targets


def texts_of(texts: Sequence[str], targets: Mask | None = None) -> Texts:
    """With vectors that are the labels, or zeros: near is what carries the same."""
    vectors = np.zeros((len(texts), 2)) if targets is None else targets.astype(float)
    length = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1)
    return Texts(texts, (vectors / length).astype(np.float32))


def task_of(
    texts: Sequence[str], targets: Mask, unlabelled: Sequence[str] = (), seed: int = 0
) -> LabellingTask:
    """A task with the toy's labels."""
    return LabellingTask(LABELS, texts_of(texts, targets), targets, texts_of(unlabelled), {}, seed)


def context_of(folder: Path | None = None, **models: str) -> MethodContext:
    """What a method is built from that needs none of the engines; adapted models are kept in the folder."""
    return MethodContext(Config(), cast(Engines, None), models=models, folder=folder)


def agreement(scores: np.ndarray, targets: Mask) -> float:
    """How often, of an issue with a label and one without, the former scores higher; the mean over the labels."""
    found = []
    for mine, truth in zip(scores.T, targets.T, strict=True):
        more = mine[truth][:, None] - mine[~truth][None, :]
        found.append(((more > 0) + 0.5 * (more == 0)).mean())
    return float(np.mean(found))


def save_toy(folder: Path, *, with_head: bool = False) -> Path:
    """A BERT with random weights and its tokenizer, as transformers saves them."""
    import torch
    import transformers

    (folder / "vocab.txt").write_text("\n".join(WORDS))
    torch.manual_seed(5)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=48,
        initializer_range=0.2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    family = transformers.BertForMaskedLM if with_head else transformers.BertModel
    family(config).save_pretrained(folder)
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def save_causal(folder: Path, steps: int, words: Sequence[str] = SAID) -> str:
    """A causal model of these words that learnt, in so many steps, to repeat a label that stands before."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    every = ["<pad>", "<unk>", "Issue", ":", "Labels", ",", *LABELS, *words]
    raw = Tokenizer(models.WordLevel({word: at for at, word in enumerate(every)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="<unk>", pad_token="<pad>", model_max_length=96
    )
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(every),
        n_positions=96,
        n_embd=32,
        n_layer=2,
        n_head=2,
        n_inner=64,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = transformers.GPT2LMHeadModel(config)

    def batch(step: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng(step)
        label = rng.choice(LABELS, size=32)
        texts = [f"Issue : zo ba Labels : {each} Issue : zo tu Labels : {each}" for each in label]
        ids = torch.tensor(tokenizer(texts)["input_ids"])
        answer = torch.full_like(ids, -100)
        answer[:, -1] = ids[:, -1]
        return {"input_ids": ids, "labels": answer}

    train(model, steps, batch)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def train(model: Any, batches: int, batch: Any, rate: float = 3e-3) -> None:
    """Lower the loss of `model(**batch(step))`."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    model.train()
    for step in range(batches):
        model(**batch(step)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
