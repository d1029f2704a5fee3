"""PyTorch weights out of a model folder of ours: int8 and scales become fp32, to start fine-tuning from.

Nothing but what is shipped is needed, and nothing is downloaded. Fine-tuning moves a weight by less than a step of
int8; from the steps themselves every one would be rounded back to where it began, and the exported encoder would be
the old one. So each weight of a product is put anywhere within its step, by a fixed seed (dithering).
"""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from transformers import AutoConfig, AutoModel, BertTokenizerFast

from triage.engine.describe import CONFIG_FILE
from triage.engine.models import MODEL_FILE, TOKENIZER_FILE, Manifest, pulled_root, verify
from triage.errors import ModelError

PRODUCT = "/MatMul_quant"
SEED = 0
Values = npt.NDArray[Any]


def restored(folder: Path) -> Path:
    """A folder, kept among the pulled models, that holds the weights of the encoder in `folder` as transformers saves
    them. Raises ModelError where that is no such encoder.
    """
    manifest = verify(folder)
    home = pulled_root() / "restored" / f"{manifest.digest()}-{SEED}"
    if home.is_dir():
        return home
    settings = _settings(folder, manifest)
    model = AutoModel.from_config(AutoConfig.for_model(**settings))
    missing, unknown = model.load_state_dict(weights_of(onnx.load(folder / MODEL_FILE)), strict=False)
    # The pooler is not exported: mean pooling does without it.
    if unknown or any(not name.startswith("pooler.") for name in missing):
        raise ModelError(f"{folder} lacks the weights {', '.join([*missing, *unknown]):.200}")
    tokenizer = BertTokenizerFast(
        tokenizer_file=str(folder / TOKENIZER_FILE), model_max_length=settings["max_position_embeddings"]
    )
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        whole = Path(scratch, "weights")
        model.save_pretrained(whole)
        tokenizer.save_pretrained(whole)
        with suppress(OSError):  # another process was quicker
            whole.rename(home)
    return home


def _settings(folder: Path, manifest: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if manifest.kind == "encoder" and CONFIG_FILE in manifest.files:
        found = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    if found.get("model_type") != "bert":
        raise ModelError(
            f"{folder} holds no encoder that PyTorch weights can be made of",
            likely="it was exported without its configuration, or is of another architecture than BERT",
            next_step="name a folder that holds config.json, model.safetensors and the tokenizer",
        )
    return found


def weights_of(graph: onnx.ModelProto) -> dict[str, torch.Tensor]:
    """The weights of an exported encoder by the names that transformers gives them, in fp32."""
    stored = {each.name: numpy_helper.to_array(each) for each in graph.graph.initializer}
    found, rng = {}, np.random.default_rng(SEED)
    for name, values in stored.items():
        if name.endswith(("weight", "bias")):
            found[name] = values
        elif name.endswith(".weight_quantized"):
            found[name.removesuffix("_quantized")] = _widened(stored, name.removesuffix("_quantized"))
    for node in graph.graph.node:
        if node.name.endswith(PRODUCT):
            name = node.input[1].removesuffix("_quantized")
            path = node.name.removesuffix(PRODUCT).strip("/").replace("/", ".")
            within = rng.uniform(-0.5, 0.5, size=stored[node.input[1]].shape)
            # A linear layer keeps its weights as [out, in], the product as [in, out].
            found[f"{path}.weight"] = (_widened(stored, name) + within * stored[f"{name}_scale"]).T
    return {name: torch.from_numpy(np.array(values, dtype=np.float32)) for name, values in found.items()}


def _widened(stored: dict[str, Values], name: str) -> Values:
    whole, scale, zero = (stored[f"{name}_{part}"] for part in ("quantized", "scale", "zero_point"))
    values: Values = (whole.astype(np.float32) - zero.astype(np.float32)) * scale
    return values
