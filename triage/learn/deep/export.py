"""From PyTorch weights to a model folder that labelling can serve: ONNX, int8, checked, described.

Through optimum: `main_export`, then dynamic quantisation of the weights to int8, one scale for each
channel, in the reduced range of 7 bits so that processors without VNNI do not overflow. Products of two
activations stay fp32 (quantised too, the mean cosine falls from 0.992 to 0.990 and nothing gets faster).
The same weights and libraries give the same bytes. Nothing is left behind where the check fails.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantFormat, QuantizationMode, QuantType
from optimum.exporters.onnx import main_export
from optimum.onnxruntime import ORTQuantizer
from optimum.onnxruntime.configuration import QuantizationConfig
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging

from triage.engine.describe import CONFIG_FILE, entailment_of, labels_of
from triage.engine.models import (
    MANIFEST_FILE,
    MODEL_FILE,
    TOKENIZER_FILE,
    Manifest,
    sha256_of,
    write_manifest,
)
from triage.errors import ModelError, UsageError
from triage.learn.deep.parity import Parity, measure

TASKS = {"encoder": "feature-extraction", "zero-shot": "text-classification"}
# Of exports to the weights in fp32. One text may suffer from int8 more than others do, tuned encoders above all.
LEAST_COSINE, MEAN_COSINE = 0.95, 0.98
LIBRARIES = ("optimum-onnx", "onnxruntime", "torch", "transformers")
CARD_FILE = "MODEL_CARD.md"


@dataclass(frozen=True)
class Recipe:
    """What to export: `source` is a folder of weights or a hub id, at `revision` (hub only).

    `origin` and `licence` say where the weights come from, `note` goes into the card; `int8` False keeps
    fp32.
    """

    source: str
    name: str
    kind: str = "encoder"
    revision: str = "main"
    origin: str = ""
    licence: str = "unknown"
    note: str = ""
    max_tokens: int = 256
    int8: bool = True


def export(recipe: Recipe, out: Path) -> tuple[Manifest, Parity]:
    """Write the model folder `out` (new, or an earlier export) and say how true it is to the weights.

    Raises ModelError where cosines to PyTorch's fp32 are too small, UsageError where `out` holds
    something else.
    """
    if out.exists() and any(out.iterdir()) and not (out / MANIFEST_FILE).is_file():
        raise UsageError(f"{out} is there and holds no model", next_step="choose a new folder for --out")
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
                f"the export of {recipe.source} is not true to it: cosine {parity.mean:.4f} on average and "
                f"{parity.least:.4f} at least, expected {MEAN_COSINE} and {LEAST_COSINE}",
                likely="its weights do not bear int8",
                next_step="export it with --fp32",
            )
        (ready / CARD_FILE).write_text(card(manifest, parity, recipe.note), encoding="utf-8")
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(ready, out)
    return manifest, parity


def _convert(recipe: Recipe, raw: Path, ready: Path) -> None:
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
    """What PyTorch weights can be made from again (`triage.learn.deep.restore`), without the paths of this machine."""
    settings = json.loads((raw / CONFIG_FILE).read_text(encoding="utf-8"))
    kept = {key: value for key, value in sorted(settings.items()) if not key.startswith("_")}
    (ready / CONFIG_FILE).write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def libraries() -> dict[str, str]:
    """The versions of what made a model, for its manifest."""
    return {name: version(name) for name in LIBRARIES}


def _int8(graph: onnx.ModelProto) -> QuantizationConfig:
    weights = {each.name for each in graph.graph.initializer}
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


def _describe(recipe: Recipe, raw: Path, ready: Path) -> Manifest:
    config = AutoConfig.from_pretrained(raw).to_dict()
    graph = onnx.load(ready / MODEL_FILE, load_external_data=False)
    manifest = Manifest(
        name=recipe.name,
        kind=recipe.kind,
        source=recipe.origin or (Path(recipe.source).name if Path(recipe.source).is_dir() else recipe.source),
        revision=_revision(recipe),
        licence=recipe.licence,
        opset=next(each.version for each in graph.opset_import if each.domain in {"", "ai.onnx"}),
        dimension=config["hidden_size"],
        max_tokens=min(recipe.max_tokens, _positions(config)),
        quantisation="dynamic QInt8 per channel, reduced range" if recipe.int8 else "none (fp32)",
        files={path.name: sha256_of(path) for path in sorted(ready.iterdir())},
        versions=libraries(),
    )
    if recipe.kind == "zero-shot":
        labels = labels_of({"id2label": config["id2label"]})
        manifest = replace(
            manifest, dimension=len(labels), labels=tuple(labels), entailment=entailment_of(labels)
        )
    return Manifest.from_dict(manifest.to_dict())


def _revision(recipe: Recipe) -> str:
    """The commit asked for; for a folder, the hash of its weights."""
    folder = Path(recipe.source)
    if not folder.is_dir():
        return recipe.revision
    weights = sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")])
    return " ".join(f"sha256:{sha256_of(path)}" for path in weights) or "unknown"


def _positions(config: Mapping[str, int]) -> int:
    # RoBERTa's positions begin after its padding index, so that two of them are never used.
    spare = 2 if "roberta" in str(config.get("model_type")) else 0
    return config.get("max_position_embeddings", 512) - spare


def card(manifest: Manifest, parity: Parity, note: str = "") -> str:
    """The model card: what it is, whence, under which licence, how made, how true, how far it goes."""
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
