"""From a trained `CrossEncoderNetwork` to a model folder that labelling can serve: ONNX, int8, checked, described.

Weights are quantised in blocks, and the products with them take the scales of activations row by row. With the
encoder's way, one scale for a whole run, the company of seven other labels moved a logit by up to 0.39, and here by
0.02; logits are off from fp32 by 0.03 on average instead of 0.10. It takes 8.2 ms instead of 4.4 (fp32: 10.1), which
matters little for one issue at a time.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from transformers import PreTrainedTokenizerFast

from triage.arrays import Floats
from triage.engine.encoder import Encoder
from triage.engine.model_folder import (
    MODEL_FILE,
    TOKENIZER_FILE,
    ModelManifest,
    read_manifest,
    sha256_of,
    write_manifest,
)
from triage.engine.zero_shot import cross_encoder as serving
from triage.engine.zero_shot.similarity import SimilarityZeroShot
from triage.errors import ModelError
from triage.finetune.export import CARD_FILE, TEXTS, libraries
from triage.metrics import sigmoid
from triage.text import LabelText
from triage.training.cross_encoder import CrossEncoderNetwork, stacked

NAMES = (
    "bug",
    "enhancement",
    "question",
    "documentation",
    "performance",
    "kind/flake",
    "area: build",
    "security",
)
LABELS = tuple(LabelText(name) for name in NAMES)
# Of the scores in int8 to those in fp32, over the texts and labels of the check.
MOST_OFF = 0.02
# Weights that share a scale; and that products are taken in int8.
BLOCK, INT8_PRODUCTS = 64, 4


@dataclass(frozen=True)
class Making:
    """What the manifest and the card say of a model: where its weights come from, and how far it was trained."""

    name: str
    origin: str
    licence: str
    note: str
    max_tokens: int


def export_joint(
    model: CrossEncoderNetwork, tokenizer: PreTrainedTokenizerFast, making: Making, out: Path
) -> ModelManifest:
    """Write the model folder `out`. Raises ModelError where scores are off by more than MOST_OFF on average."""
    with tempfile.TemporaryDirectory() as scratch:
        raw, ready = Path(scratch, "raw"), Path(scratch, "ready")
        raw.mkdir()
        ready.mkdir()
        _convert(model.eval(), raw / MODEL_FILE)
        graph = _quantise(raw / MODEL_FILE, ready / MODEL_FILE)
        fast = tokenizer.backend_tokenizer
        fast.no_padding()
        fast.no_truncation()
        fast.save(str(ready / TOKENIZER_FILE), pretty=False)
        manifest = ModelManifest(
            name=making.name,
            kind="zero-shot",
            source=making.origin,
            revision="",
            licence=making.licence,
            opset=next(each.version for each in graph.opset_import if each.domain in {"", "ai.onnx"}),
            dimension=1,
            max_tokens=making.max_tokens,
            quantisation=f"int8 in blocks of {BLOCK}, activations row by row",
            files={name: sha256_of(ready / name) for name in (MODEL_FILE, TOKENIZER_FILE)},
            versions=libraries(),
            labels=("entailment",),
            entailment=0,
            layout="joint",
        )
        write_manifest(ready, manifest)
        off = difference(model, tokenizer, ready)
        if off > MOST_OFF:
            raise ModelError(
                f"the export is not true to its weights: scores are off by {off:.3f} on average",
                likely="the weights do not bear int8",
                next_step="train it longer, or with another seed",
            )
        (ready / CARD_FILE).write_text(_card(manifest, making, off), encoding="utf-8")
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(ready, out)
    return manifest


def _convert(model: CrossEncoderNetwork, path: Path) -> None:
    example = serving.lay_out([2, 5, 6, 3], [[2, 7, 3], [2, 8, 3]])
    names = list(serving.feeds(example, 2))
    axes = {name: {1: "tokens"} for name in names[:4]} | {"numbers": {0: "segments"}, "logits": {1: "labels"}}
    with warnings.catch_warnings(), torch.no_grad():
        # The tracer warns of constants; parity is measured instead.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (*stacked([example]), torch.arange(3)),
            str(path),
            input_names=names,
            output_names=["logits"],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )


def _quantise(path: Path, out: Path) -> onnx.ModelProto:
    """int8 for the embeddings and for products with weights; the graph as it was."""
    graph = onnx.load(path)
    halfway = path.with_name("embeddings.onnx")
    quantize_dynamic(path, halfway, op_types_to_quantize=["Gather"], weight_type=QuantType.QInt8)
    whole = MatMulNBitsQuantizer(
        onnx.load(halfway), bits=8, block_size=BLOCK, is_symmetric=True, accuracy_level=INT8_PRODUCTS
    )
    logging.disable(logging.INFO)
    try:
        whole.process()
    finally:
        logging.disable(logging.NOTSET)
    whole.model.save_model_to_file(str(out))
    return graph


def difference(model: CrossEncoderNetwork, tokenizer: PreTrainedTokenizerFast, folder: Path) -> float:
    """How far scores (0 to 1) of the folder are from PyTorch's in fp32 on average, over TEXTS and LABELS."""
    limit = read_manifest(folder).max_tokens
    ours = serving.CrossEncoder(folder, SimilarityZeroShot.load(Encoder.load())).read(TEXTS, LABELS)
    labels = [tokenizer(label.phrase)["input_ids"] for label in LABELS]

    def theirs(text: str) -> Floats:
        tokens = tokenizer(text, truncation=True, max_length=limit)["input_ids"]
        sheet = serving.lay_out(tokens, labels)
        with torch.inference_mode():
            found: Floats = model(*stacked([sheet]), torch.arange(len(labels) + 1))[0].numpy()
        return found

    expected = np.array([theirs(text) for text in TEXTS])
    return float(np.abs(_score(ours) - _score(expected)).mean())


def _score(logits: Floats) -> Floats:
    return sigmoid(logits).astype(np.float32)


def _card(manifest: ModelManifest, making: Making, off: float) -> str:
    lines = [
        f"# {manifest.name}",
        "",
        f"- Kind: zero-shot cross-encoder, {manifest.max_tokens} tokens of an issue and "
        f"{serving.LABEL_TOKENS} of each label in, a logit for each label out",
        f"- Starts from: {manifest.source}",
        f"- Licence: {manifest.licence}",
        f"- Made by: `triage models train zero-shot`, ONNX opset {manifest.opset}; {manifest.quantisation}; "
        + ", ".join(f"{name} {number}" for name, number in sorted(manifest.versions.items())),
        f"- True to PyTorch fp32: scores are off by {off:.4f} on average over {len(TEXTS)} texts and "
        f"{len(LABELS)} labels written for the check",
        f"- {making.note}",
    ]
    return "\n".join(lines) + "\n"
