"""From a trained `CrossEncoderNetwork` to a model folder that labelling can serve: ONNX, int8, checked, calibrated.

Weights are quantised in blocks, and activations row by row. With one scale for a whole run, as the encoder has it,
seven other labels in the same run moved a logit by up to 0.39, here by 0.02; logits deviate from fp32 by 0.03 on
average instead of 0.10. It takes 8.2 ms instead of 4.4 (fp32: 10.1), which matters little for one issue at a time.
"""

from __future__ import annotations

import logging
import random
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from transformers import PreTrainedTokenizerFast

from triage.arrays import Array, Floats, Mask
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
from triage.errors import DataError, ModelError
from triage.finetune.export import CARD_FILE, TEXTS, libraries
from triage.issue import Issue
from triage.learn.tune import logistic
from triage.metrics import Cuts, micro_f1, precision_recall, sigmoid
from triage.text import LabelText
from triage.training.corpus import held_out_groups, label_names
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
# The mean deviation of int8 scores from fp32 that is accepted, over the texts and labels of the check.
MOST_OFF = 0.02
# Weights that share a scale; onnxruntime's accuracy level for int8 products.
BLOCK, INT8_PRODUCTS = 64, 4


@dataclass(frozen=True)
class Making:
    """For the manifest and the card: the origin and licence of the weights, and how the model was trained."""

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
            opset=next(opset.version for opset in graph.opset_import if opset.domain in {"", "ai.onnx"}),
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
    """The mean deviation of the folder's scores (0 to 1) from PyTorch's in fp32, over TEXTS and LABELS."""
    limit = read_manifest(folder).max_tokens
    ours = serving.CrossEncoder(folder, SimilarityZeroShot.load(Encoder.load())).read(TEXTS, LABELS)
    labels = [tokenizer(label.phrase)["input_ids"] for label in LABELS]

    def theirs(text: str) -> Floats:
        tokens = tokenizer(text, truncation=True, max_length=limit)["input_ids"]
        sheet = serving.lay_out(tokens, labels)
        with torch.inference_mode():
            return np.asarray(model(*stacked([sheet]), torch.arange(len(labels) + 1))[0].numpy())

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


LEAST_USES, SAMPLE, SEED = 10, 75, 20
# Wrong labels on the first day cost trust: the threshold is at least an even chance, whatever F1 says.
LEAST_THRESHOLD = 0.5


@dataclass(frozen=True)
class JudgeCalibration:
    """The first four go into the manifest (see `ModelManifest`); `summary` describes the measurement."""

    slope: float
    intercept: float
    similarity: float
    threshold: float
    summary: str


def calibrate(issues: Iterable[Issue], folder: Path) -> JudgeCalibration:
    """Fit the logistic on held-out repositories, except those that results are checked on.

    The evidence for a label is the logit of the cross-encoder in `folder` and the similarity under the shipped
    encoder. Each repository has the same weight. Raises DataError where there is none.
    """
    encoder = Encoder.load()
    similar = SimilarityZeroShot.load(encoder)
    models = serving.CrossEncoder(folder, similar), similar, encoder
    judged = [_judged(models, group, repo) for repo, group in held_out_groups(issues).items()]
    pairs = [pair for pair in judged if pair is not None]
    if not pairs:
        raise DataError(
            "no repository is left to calibrate on",
            likely="the files hold too few repositories",
            next_step="name files with issues of more of them",
        )
    evidence = np.concatenate([raw for raw, _ in pairs])
    truth = np.concatenate([carried for _, carried in pairs])
    weights = np.concatenate([np.full(len(raw), 1 / len(raw)) for raw, _ in pairs])
    (slope, likeness), intercept = logistic(evidence, truth, weights)
    scores = sigmoid(evidence @ np.array([slope, likeness]) + intercept)
    cuts = Cuts.of(scores, truth)
    cut = max(LEAST_THRESHOLD, float(cuts.values[int(cuts.f1(true=truth.sum()).argmax())]))
    chosen = (scores >= cut)[:, None]
    precision, recall = precision_recall(truth[:, None], chosen)
    summary = (
        f"Calibrated on {len(truth)} pairs of issue and label of {len(pairs)} repositories that it was not trained on "
        f"(seed {SEED}, label names alone): at the default threshold of {cut:.2f} micro-F1 is "
        f"{micro_f1(truth[:, None], chosen):.3f}, precision {precision:.3f}, recall {recall:.3f}"
    )
    return JudgeCalibration(
        round(slope, 4), round(intercept, 4), round(max(0.0, likeness / slope), 4), round(cut, 4), summary
    )


def _judged(
    models: tuple[serving.CrossEncoder, SimilarityZeroShot, Encoder], issues: Sequence[Issue], repo: str
) -> tuple[Array, Mask] | None:
    """(logit and similarity [pairs, 2], truth [pairs]) of issues of a repository; None where `sampled` is."""
    judge, similar, encoder = models
    sample = sampled(issues, repo)
    if sample is None:
        return None
    drawn, names, truth = sample
    texts, labels = [issue.text for issue in drawn], [LabelText(name) for name in names]
    parts = judge.read(texts, labels), similar.raw(texts, encoder.encode(texts), labels)
    return np.stack([part.ravel() for part in parts], axis=1).astype(np.float64), truth.ravel()


def sampled(
    issues: Sequence[Issue], repo: str, least: int = LEAST_USES
) -> tuple[list[Issue], list[str], Mask] | None:
    """(up to SAMPLE issues, the labels with `least` uses in the repository, which apply [n, L]).

    None where fewer than two labels have that many.
    """
    names = label_names(issues, least)
    labelled = [issue for issue in issues if set(names) & set(issue.labels)]
    if len(names) < 2:
        return None
    pick = random.Random(f"{SEED} {repo}")  # noqa: S311 - a sample that can be repeated, not a secret
    drawn = pick.sample(labelled, min(SAMPLE, len(labelled)))
    truth = np.array([[name in issue.labels for name in names] for issue in drawn], dtype=bool)
    return drawn, names, truth
