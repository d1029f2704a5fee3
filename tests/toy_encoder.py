"""A tiny BERT with random weights, and issues whose labels hang on single words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

FILLER = [f"{a}{b}" for a in ("lor", "ips", "dol", "sit", "ame") for b in ("em", "um", "or", "is")]
TELLING = [["crash", "panic"], ["wish", "feature"], ["how", "explain"]]
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *FILLER,
    *(word for words in TELLING for word in words),
]


def save_bert(folder: Path) -> Path:
    """Weights and tokenizer in `folder`, as transformers saves them."""
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
    )
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def toy_issues(n: int, *, seed: int) -> tuple[list[str], npt.NDArray[np.bool_]]:
    """`n` texts of filler, each with a telling word for every label that it carries: one or two of three."""
    rng = np.random.default_rng(seed)
    texts, targets = [], np.zeros((n, len(TELLING)), dtype=np.bool_)
    for row in targets:
        row[rng.choice(len(TELLING), size=rng.choice([1, 2], p=[0.8, 0.2]), replace=False)] = True
        words = [str(word) for word in rng.choice(FILLER, size=rng.integers(3, 8))]
        for label in np.flatnonzero(row):
            words.insert(int(rng.integers(len(words))), str(rng.choice(TELLING[label])))
        texts.append(" ".join(words))
    return texts, targets
