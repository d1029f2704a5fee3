"""Back-translation by two tiny models that learnt a made-up language, word for word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import transformers

from tests.toy_language import context_of, train
from triage.study.augment import BackTranslation

HOME = ("salt", "key", "rain", "cup")
ABROAD = ("sel", "cle", "pluie", "tasse")
# What comes back is another word for the same.
OTHER = ("brine", "latch", "shower", "mug")
WORDS = ["<pad>", "</s>", "<unk>", *HOME, *ABROAD, *OTHER]


def save_translator(folder: Path, source: tuple[str, ...], target: tuple[str, ...]) -> str:
    """A T5 that learnt to put the word of `target` for each of one or two words of `source`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    raw = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="<unk>", pad_token="<pad>", eos_token="</s>", model_max_length=32
    )
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=len(WORDS), d_model=32, d_kv=16, d_ff=64, num_layers=1, num_decoder_layers=1, num_heads=2,
        dropout_rate=0.0, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, tie_word_embeddings=False,
    )  # fmt: skip
    model = transformers.T5ForConditionalGeneration(config)

    def batch(step: int) -> dict[str, torch.Tensor]:
        rows = np.random.default_rng(step).integers(len(source), size=(32, 1 + step % 2))
        read = tokenizer([" ".join(source[at] for at in row) for row in rows], return_tensors="pt")
        said = tokenizer([" ".join(target[at] for at in row) for row in rows], return_tensors="pt")
        return {
            "input_ids": read["input_ids"],
            "attention_mask": read["attention_mask"],
            "labels": said["input_ids"],
        }

    train(model, 250, batch, rate=5e-3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_texts_come_back_in_other_words(tmp_path: Path) -> None:
    """Each line is translated there and back by itself, empty ones stay, and it is the same every time."""
    torch.set_num_threads(1)
    for name in ("there", "back"):
        (tmp_path / name).mkdir()
    augmenter = BackTranslation(
        context_of(
            there=save_translator(tmp_path / "there", HOME, ABROAD),
            back=save_translator(tmp_path / "back", ABROAD, OTHER),
        )
    )
    assert augmenter.unavailable() == ""
    found = augmenter.augment(["salt key\n\nrain", "cup", ""], seed=0)
    assert found == ["brine latch\n\nshower", "mug", ""]
    assert augmenter.augment(["cup"], seed=1) == ["mug"]
