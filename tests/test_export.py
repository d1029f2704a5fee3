"""From PyTorch weights to a model folder: true to the weights, the same bytes each time, or nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from triage.engine import model_folder as models
from triage.engine.encoder import Encoder, OnnxModel
from triage.errors import ModelError, UsageError
from triage.finetune import export as module
from triage.finetune.export import export
from triage.options import ExportOptions

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "crash", "file", "empty", "theme", "dark", "the", "is"]
LABELS = {0: "contradiction", 1: "entailment"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with random weights and both heads, as transformers saves it."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    torch.manual_seed(5)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=48,
        id2label=LABELS,
        label2id={label: at for at, label in LABELS.items()},
        initializer_range=0.2,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def test_an_exported_encoder_is_true_to_its_weights(weights: Path, tmp_path: Path) -> None:
    """The int8 model's vectors point where PyTorch's do, and its folder describes and proves it."""
    manifest, parity = export(
        ExportOptions(str(weights), "tiny", licence="MIT", note="For tests."), tmp_path / "tiny"
    )
    assert parity.least > 0.98
    assert manifest == models.verify(tmp_path / "tiny")
    assert (manifest.kind, manifest.dimension, manifest.max_tokens, manifest.opset) == ("encoder", 32, 48, 18)
    assert sorted(path.name for path in (tmp_path / "tiny").iterdir()) == [
        "MODEL_CARD.md",
        "config.json",
        "manifest.json",
        "model.onnx",
        "tokenizer.json",
    ]
    text = "the file is empty"
    vector = Encoder.load(tmp_path / "tiny").encode([text])[0]
    tokenizer = transformers.AutoTokenizer.from_pretrained(weights)
    with torch.inference_mode():
        reference = transformers.BertModel.from_pretrained(weights).eval()
        states = reference(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).numpy()
    assert vector @ states / np.linalg.norm(states) > 0.98


def test_the_same_weights_give_the_same_bytes(weights: Path, tmp_path: Path) -> None:
    """Exporting twice gives the same hashes."""
    first, _ = export(ExportOptions(str(weights), "tiny"), tmp_path / "first")
    second, _ = export(ExportOptions(str(weights), "tiny"), tmp_path / "second")
    assert first == second


def test_an_exported_judge_agrees_with_the_pipeline_of_transformers(weights: Path, tmp_path: Path) -> None:
    """In fp32, the probability of entailment is the one that zero-shot-classification computes."""
    recipe = ExportOptions(str(weights), "judge", kind="zero-shot", int8=False)
    manifest, parity = export(recipe, tmp_path / "judge")
    assert (manifest.labels, manifest.entailment, manifest.dimension) == (tuple(LABELS.values()), 1, 2)
    assert parity.least > 0.9999
    pipeline = transformers.pipeline("zero-shot-classification", model=str(weights), device="cpu")
    said = pipeline("the crash", ["dark", "theme file"], hypothesis_template="is {}", multi_label=True)
    expected = dict(zip(said["labels"], said["scores"], strict=True))
    model = OnnxModel(tmp_path / "judge")
    for label, score in expected.items():
        logits = model.run(model.tokens("the crash", f"is {label}", max_tokens=manifest.max_tokens))
        assert np.exp(logits[1]) / np.exp(logits).sum() == pytest.approx(score, abs=1e-4)


def test_an_untrue_export_leaves_nothing(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the cosine is lower than is allowed, the export is refused and no folder appears."""
    monkeypatch.setattr(module, "LEAST_COSINE", 1.1)
    with pytest.raises(ModelError) as caught:
        export(ExportOptions(str(weights), "tiny"), tmp_path / "tiny")
    assert caught.value.what.startswith(f"the export of {weights} differs too much from it: cosine 0.9")
    assert not (tmp_path / "tiny").exists()


def test_a_folder_of_something_else_is_not_overwritten(weights: Path, tmp_path: Path) -> None:
    """Exporting into a folder that holds other files is refused."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError) as caught:
        export(ExportOptions(str(weights), "tiny"), tmp_path)
    assert caught.value.what == f"{tmp_path} exists and is not a model folder"
    assert (tmp_path / "notes.txt").read_text() == "mine"
