"""PyTorch weights to start training from: a folder, a pinned hub model, or a model folder of ours.

Only safetensors are read, never a pickle. The shipped encoder needs no download: its int8 weights are dequantized.
Fine-tuning moves a weight by less than a step of int8, so that rounding would restore the old encoder on export; so
each weight of a product is placed at random within its step, by a fixed seed (dithering).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    BertTokenizerFast,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

from triage.engine.hub import CONFIG_FILE
from triage.engine.model_folder import (
    BUILTIN_ENCODER,
    HUB_ID,
    MANIFEST_FILE,
    MODEL_FILE,
    REVISION,
    TOKENIZER_FILE,
    ModelManifest,
    pulled_root,
    read_manifest,
    sha256_of,
    shipped,
    verify,
)
from triage.errors import ModelError
from triage.files import new_folder

# Configuration, weights and what the tokenizers of encoders, causal and translating models consist of.
HUB_FILES = [
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "tokenizer*.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.spm",
    "*.model",
]
WHAT_TO_NAME = "name a folder that holds config.json, model.safetensors and the tokenizer"


@dataclass(frozen=True)
class Weights:
    """A folder of weights as transformers saves it, and their origin, for a manifest."""

    folder: Path
    name: str
    origin: str
    licence: str = "unknown"

    def digest(self) -> str:
        """sha256 (hex) over the weights' files: equal digests mean equal weights."""
        files = sorted(self.folder.glob("*.safetensors"))
        return hashlib.sha256(" ".join(map(sha256_of, files)).encode()).hexdigest()

    def open(
        self, family: Any = AutoModel, attention: str | None = None
    ) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
        """The model in fp32, as one of this family of transformers' auto classes, and its tokenizer.

        `attention` names transformers' implementation of it. Raises ModelError, and so for a tokenizer that is not a
        fast one.
        """
        model, tokenizer = self.open_any(family, attention)
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise ModelError(f"{self.folder} has no fast tokenizer", next_step="choose another model")
        return model, tokenizer

    def open_any(
        self, family: Any, attention: str | None = None
    ) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """As `open`, with any kind of tokenizer."""
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            model = family.from_pretrained(
                self.folder, use_safetensors=True, dtype=torch.float32, attn_implementation=attention
            )
            tokenizer = AutoTokenizer.from_pretrained(self.folder)
        except (OSError, ValueError, ImportError) as error:
            raise ModelError(
                f"cannot read the weights in {self.folder}: {error}",
                likely="the folder holds no model, or its weights are a pickle",
                next_step=WHAT_TO_NAME,
            ) from error
        return cast(PreTrainedModel, model), tokenizer


def find_weights(spec: str | None = None) -> Weights:
    """Weights from a folder, from the hub (`org/name@COMMIT`), or, for None, the shipped encoder's.

    Raises ModelError where there are none, or the hub model is not pinned.
    """
    if spec is None:
        return _ours(shipped(BUILTIN_ENCODER))
    if (Path(spec) / MANIFEST_FILE).is_file():
        return _ours(Path(spec))
    if Path(spec).is_dir():
        name = Path(spec).resolve().name
        return Weights(Path(spec), name, name)
    model, _, revision = spec.partition("@")
    if not HUB_ID.fullmatch(model):
        raise ModelError(
            f"no weights {model!r}: neither a folder nor a hub model `org/name`",
            likely="a typing mistake",
            next_step=WHAT_TO_NAME,
        )
    if not REVISION.fullmatch(revision):
        raise ModelError(
            f"the weights {model} are not pinned by a revision of 40 hex digits",
            likely="only the name was given",
            next_step="add the commit, as the hub shows it under `History`",
        )
    return Weights(_fetched(model, revision), model.split("/")[1], model)


def _ours(folder: Path) -> Weights:
    """The dequantized weights of a model folder of this project."""
    manifest = read_manifest(folder)
    return Weights(restored(folder), manifest.name, manifest.source, manifest.licence)


def _fetched(model: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=HUB_FILES))
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"cannot fetch the weights {model} at {revision}: {error}",
            likely="the hub does not answer, or has no such model",
            next_step="try again later, or name a folder that holds them",
        ) from error


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
    with new_folder(home) as draft:
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
    return home


def _settings(folder: Path, manifest: ModelManifest) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if manifest.kind == "encoder" and CONFIG_FILE in manifest.files:
        settings = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    if settings.get("model_type") != "bert":
        raise ModelError(
            f"{folder} holds no encoder that PyTorch weights can be made of",
            likely="it was exported without its configuration, or is of another architecture than BERT",
            next_step="name a folder that holds config.json, model.safetensors and the tokenizer",
        )
    return settings


def weights_of(graph: onnx.ModelProto) -> dict[str, torch.Tensor]:
    """The weights of an exported encoder by the names that transformers gives them, in fp32."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    weights, rng = {}, np.random.default_rng(SEED)
    for name, values in stored.items():
        if name.endswith(("weight", "bias")):
            weights[name] = values
        elif name.endswith(".weight_quantized"):
            weights[name.removesuffix("_quantized")] = _widened(stored, name.removesuffix("_quantized"))
    for node in graph.graph.node:
        if node.name.endswith(PRODUCT):
            name = node.input[1].removesuffix("_quantized")
            path = node.name.removesuffix(PRODUCT).strip("/").replace("/", ".")
            within = rng.uniform(-0.5, 0.5, size=stored[node.input[1]].shape)
            # A linear layer keeps its weights as [out, in], the product as [in, out].
            weights[f"{path}.weight"] = (_widened(stored, name) + within * stored[f"{name}_scale"]).T
    return {name: torch.from_numpy(np.array(values, dtype=np.float32)) for name, values in weights.items()}


def _widened(stored: dict[str, Values], name: str) -> Values:
    whole, scale, zero = (stored[f"{name}_{part}"] for part in ("quantized", "scale", "zero_point"))
    values: Values = (whole.astype(np.float32) - zero.astype(np.float32)) * scale
    return values
