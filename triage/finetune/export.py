"""From PyTorch weights to a model folder that labelling can serve: ONNX, int8, checked, described.

optimum exports the model; its weights are then quantised dynamically to int8, one scale for each channel, in the
reduced range of 7 bits so that processors without VNNI do not overflow. Products of two activations stay fp32
(quantised too, the mean cosine falls from 0.992 to 0.990 and nothing gets faster). The same weights and libraries give
the same bytes. Nothing is written where the exported model deviates too far from the PyTorch weights.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantFormat, QuantizationMode, QuantType
from optimum.exporters.onnx import main_export
from optimum.onnxruntime import ORTQuantizer
from optimum.onnxruntime.configuration import QuantizationConfig
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

from triage.arrays import Floats
from triage.engine.encoder import OnnxModel
from triage.engine.hub import CONFIG_FILE, entailment_of, labels_of
from triage.engine.model_folder import (
    CARD_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    TOKENIZER_FILE,
    ModelManifest,
    sha256_of,
    write_manifest,
)
from triage.errors import ModelError, UsageError
from triage.options import ExportOptions

TASKS = {"encoder": "feature-extraction", "zero-shot": "text-classification"}
# Of exports to the weights in fp32. One text may suffer from int8 more than others do, tuned encoders above all.
LEAST_COSINE, MEAN_COSINE = 0.95, 0.98
LIBRARIES = ("optimum-onnx", "onnxruntime", "torch", "transformers")


def export(recipe: ExportOptions, out: Path) -> tuple[ModelManifest, Parity]:
    """Write the model folder `out` (new, or an earlier export) and compare it with the weights.

    Raises ModelError where cosines to PyTorch's fp32 are too small, UsageError where `out` holds something else.
    """
    if out.exists() and any(out.iterdir()) and not (out / MANIFEST_FILE).is_file():
        raise UsageError(f"{out} exists and is not a model folder", next_step="choose a new folder for --out")
    logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as scratch:
        raw, ready = Path(scratch, "raw"), Path(scratch, "ready")
        ready.mkdir()
        _convert(recipe, raw, ready)
        manifest = _describe(recipe, raw, ready)
        write_manifest(ready, manifest)
        parity = measure(recipe.source, recipe.revision, ready)
        if parity.least < LEAST_COSINE or parity.mean < MEAN_COSINE:
            raise ModelError(
                f"the export of {recipe.source} differs too much from it: cosine {parity.mean:.4f} on average and "
                f"{parity.least:.4f} at least, expected {MEAN_COSINE} and {LEAST_COSINE}",
                likely="its weights lose too much accuracy in int8",
                next_step="export it with --fp32",
            )
        (ready / CARD_FILE).write_text(card(manifest, parity, recipe.note), encoding="utf-8")
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(ready, out)
    return manifest, parity


def _convert(recipe: ExportOptions, raw: Path, ready: Path) -> None:
    with warnings.catch_warnings():
        # The tracer warns of constants in the attention mask; parity is measured instead.
        warnings.simplefilter("ignore")
        main_export(
            recipe.source,
            raw,
            task=TASKS[recipe.kind],
            revision=recipe.revision,
            library_name="transformers",
            do_validation=False,
        )
    tokenizer = AutoTokenizer.from_pretrained(recipe.source, revision=recipe.revision)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelError(f"{recipe.source} has no fast tokenizer", next_step="choose another model")
    fast = tokenizer.backend_tokenizer
    fast.no_padding()
    fast.no_truncation()
    fast.save(str(ready / TOKENIZER_FILE), pretty=False)
    if recipe.kind == "encoder":
        _keep_settings(raw, ready)
    if recipe.int8:
        config = _int8(onnx.load(raw / MODEL_FILE, load_external_data=False))
        ORTQuantizer.from_pretrained(raw).quantize(config, save_dir=raw, file_suffix="int8")
    (raw / ("model_int8.onnx" if recipe.int8 else MODEL_FILE)).replace(ready / MODEL_FILE)


def _keep_settings(raw: Path, ready: Path) -> None:
    """The architecture, for `triage.finetune.weights`, without the paths of this machine."""
    settings = json.loads((raw / CONFIG_FILE).read_text(encoding="utf-8"))
    kept = {key: value for key, value in sorted(settings.items()) if not key.startswith("_")}
    (ready / CONFIG_FILE).write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def libraries() -> dict[str, str]:
    """The versions of the libraries that made a model, for its manifest."""
    return {name: version(name) for name in LIBRARIES}


def _int8(graph: onnx.ModelProto) -> QuantizationConfig:
    weights = {weight.name for weight in graph.graph.initializer}
    products = [node for node in graph.graph.node if node.op_type == "MatMul"]
    return QuantizationConfig(
        is_static=False,
        format=QuantFormat.QOperator,
        mode=QuantizationMode.IntegerOps,
        activations_dtype=QuantType.QUInt8,
        weights_dtype=QuantType.QInt8,
        weights_symmetric=True,
        per_channel=True,
        reduce_range=True,
        operators_to_quantize=["MatMul", "Gather"],
        nodes_to_exclude=[node.name for node in products if weights.isdisjoint(node.input)],
    )


def _describe(recipe: ExportOptions, raw: Path, ready: Path) -> ModelManifest:
    config = AutoConfig.from_pretrained(raw).to_dict()
    graph = onnx.load(ready / MODEL_FILE, load_external_data=False)
    labels = labels_of(config) if recipe.kind == "zero-shot" else []
    manifest = ModelManifest(
        name=recipe.name,
        kind=recipe.kind,
        source=recipe.origin or (Path(recipe.source).name if Path(recipe.source).is_dir() else recipe.source),
        revision=_revision(recipe),
        licence=recipe.licence,
        opset=next(opset.version for opset in graph.opset_import if opset.domain in {"", "ai.onnx"}),
        dimension=len(labels) or config["hidden_size"],
        max_tokens=min(recipe.max_tokens, _positions(config)),
        quantisation="dynamic QInt8 per channel, reduced range" if recipe.int8 else "none (fp32)",
        files={path.name: sha256_of(path) for path in sorted(ready.iterdir())},
        versions=libraries(),
        labels=tuple(labels),
        entailment=entailment_of(labels) if recipe.kind == "zero-shot" else None,
    )
    return ModelManifest.from_dict(manifest.to_dict())


def _revision(recipe: ExportOptions) -> str:
    """The commit; for a folder, the hash of its weights."""
    folder = Path(recipe.source)
    if not folder.is_dir():
        return recipe.revision
    weights = sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")])
    return " ".join(f"sha256:{sha256_of(path)}" for path in weights) or "unknown"


def _positions(config: Mapping[str, int]) -> int:
    # RoBERTa's positions begin after its padding index, so that two of them are never used.
    spare = 2 if "roberta" in str(config.get("model_type")) else 0
    return config.get("max_position_embeddings", 512) - spare


def card(manifest: ModelManifest, parity: Parity, note: str) -> str:
    """The model card: kind, source, licence, how it was made, parity with the source, limits."""
    hub = f"https://huggingface.co/{manifest.source}" if "/" in manifest.source else manifest.source
    lines = [
        f"# {manifest.name}",
        "",
        f"- Kind: {manifest.kind}, {manifest.dimension} numbers out, at most {manifest.max_tokens} tokens in",
        f"- Source: {hub}, {manifest.revision}",
        f"- Licence: {manifest.licence}, as the source",
        f"- Made by: `triage models export`, ONNX opset {manifest.opset}; {manifest.quantisation}; "
        + ", ".join(f"{name} {number}" for name, number in sorted(manifest.versions.items())),
        f"- True to PyTorch fp32 on {parity.texts} texts written for the check: cosine {parity.mean:.4f} on "
        f"average, {parity.least:.4f} at least",
        f"- Processor time for these texts, one at a time on one thread, where it was made: "
        f"{parity.speedup:.1f} times less than PyTorch fp32 takes",
        f"- Limits: nothing is read beyond {manifest.max_tokens} tokens, and it knows the languages and the "
        f"subjects that its source was trained on. {note}".rstrip(),
    ]
    return "\n".join(lines) + "\n"


# Texts for the check: short and long, prose, code, a trace, other scripts, next to nothing.
TEXTS = (
    "",
    "Crash",
    "Crash when the file is empty\n\nOpening an empty file ends with a segmentation fault, not a message.",
    "Please add a dark theme\n\nI work at night and the white background hurts. A setting would be enough.",
    "How do I change the port?\n\nThe manual names `--port`, but the server still listens on 8080.",
    "Typo in the installation guide\n\nIt says `pip instal`, there is an l missing at the end.",
    'TypeError in save()\n\nTraceback (most recent call last):\n  File "app.py", line 12, in <module>\n'
    "    save(None)\nTypeError: expected str, bytes or os.PathLike object, not NoneType",
    "Build fails on arm64\n\n```\nld: symbol(s) not found for architecture arm64\nmake: *** Error 1\n```",
    "ファイルを保存できない\n\n日本語の名前のファイルを保存すると、エラーになります。",
    "Die Suche findet keine Umlaute 🔍\n\nWer nach `Größe` sucht, bekommt keine Treffer.",
    "Memory grows without end\n\n" + "After each request the process keeps a few more kilobytes. " * 12,
    "Slow query\n\nSELECT name, COUNT(*) FROM events WHERE day > '2024-01-01' GROUP BY name takes 40 s; "
    "with an index on `day` it takes 0.2. Should the migration add that index for everybody?",
    "Release notes for 2.0 are missing\n\nThe tag is there, the page is not. Who writes them?",
    "Flaky test: test_retry_after\n\nFails about once in twenty runs on Windows, never on Linux.",
    "API: allow a callback for progress\n\ndef upload(path, on_progress=None): ...\n\nfor drawing a bar.",
    "Security: token printed in the debug log\n\nWith `--verbose` the Authorization header is in plain text.",
)


@dataclass(frozen=True)
class Parity:
    """Cosines of the exported model's outputs to PyTorch's in fp32, over `texts` texts.

    `speedup` is PyTorch's processor time over the exported model's, both one text at a time on one thread.
    """

    least: float
    mean: float
    texts: int
    speedup: float


def measure(source: str, revision: str, folder: Path) -> Parity:
    """Run both models on the same tokens and compare pooled vectors, or a classifier's centred logits."""
    model = OnnxModel(folder)
    judging = model.manifest.kind == "zero-shot"
    family = AutoModelForSequenceClassification if judging else AutoModel
    reference = family.from_pretrained(source, revision=revision, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
    limit = model.manifest.max_tokens
    pair = "This issue is about a defect." if judging else None

    def theirs(text: str) -> Floats:
        encoded = tokenizer(text, pair, truncation="only_first", max_length=limit, return_tensors="pt")
        with torch.inference_mode():
            output: Floats = reference(**encoded)[0][0].numpy()
        return output

    def ours(text: str) -> Floats:
        return model.run(model.tokens(text, pair, max_tokens=limit))

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected, slow = _timed(theirs)
        exported, fast = _timed(ours)
    finally:
        torch.set_num_threads(threads)
    cosines = [_cosine(_comparable(a), _comparable(b)) for a, b in zip(expected, exported, strict=True)]
    return Parity(min(cosines), float(np.mean(cosines)), len(TEXTS), slow / fast)


def _comparable(output: Floats) -> Floats:
    """Hidden states averaged over tokens; logits less their mean, which a softmax ignores."""
    pooled: Floats = output.mean(axis=0) if output.ndim > 1 else output - output.mean()
    return pooled


def _cosine(a: Floats, b: Floats) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def _timed(run: Callable[[str], Floats]) -> tuple[list[Floats], float]:
    """The outputs for the texts, and the processor time in seconds, after one run to warm up."""
    run(TEXTS[-1])
    start = time.process_time()
    outputs = [run(text) for text in TEXTS]
    return outputs, time.process_time() - start
