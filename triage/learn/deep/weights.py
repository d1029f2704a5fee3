"""Where PyTorch weights to start from are found; only safetensors are read, never a pickle."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from transformers import (
    AutoModel,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

from triage.engine.models import (
    BUILTIN_ENCODER,
    HUB_ID,
    MANIFEST_FILE,
    REVISION,
    read_manifest,
    sha256_of,
    shipped,
)
from triage.errors import ModelError

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
    """A folder of weights as transformers saves it, and what a manifest says of where they come from."""

    folder: Path
    name: str
    origin: str
    licence: str = "unknown"

    def digest(self) -> str:
        """sha256 (hex) over the weights' files: equal digests mean equal weights."""
        files = sorted(self.folder.glob("*.safetensors"))
        return hashlib.sha256(" ".join(map(sha256_of, files)).encode()).hexdigest()

    def open(self, family: Any = AutoModel) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
        """The model in fp32, as one of this family of transformers' auto classes, and its tokenizer.

        Raises ModelError, and so for a tokenizer that is not a fast one.
        """
        model, tokenizer = self.open_any(family)
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise ModelError(f"{self.folder} has no fast tokenizer", next_step="choose another model")
        return model, tokenizer

    def open_any(self, family: Any) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """As `open`, with whatever tokenizer there is."""
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            model = family.from_pretrained(self.folder, use_safetensors=True, dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(self.folder)
        except (OSError, ValueError, ImportError) as error:
            raise ModelError(
                f"cannot read the weights in {self.folder}: {error}",
                likely="the folder holds no model, or its weights are a pickle",
                next_step=WHAT_TO_NAME,
            ) from error
        return cast(PreTrainedModel, model), tokenizer


def find_weights(spec: str | None = None, revision: str | None = None) -> Weights:
    """Weights from a folder, from the hub (`org/name` at a commit), or, for None, the shipped encoder's.

    Raises ModelError where there are none, or the hub model is not pinned.
    """
    if spec is None:
        return _ours(shipped(BUILTIN_ENCODER))
    if (Path(spec) / MANIFEST_FILE).is_file():
        return _ours(Path(spec))
    if Path(spec).is_dir():
        name = Path(spec).resolve().name
        return Weights(Path(spec), name, name)
    if not HUB_ID.fullmatch(spec):
        raise ModelError(
            f"no weights {spec!r}: neither a folder nor a hub model `org/name`",
            likely="a typing mistake",
            next_step=WHAT_TO_NAME,
        )
    if revision is None or not REVISION.fullmatch(revision):
        raise ModelError(
            f"the weights {spec} are not pinned by a revision of 40 hex digits",
            likely="only the name was given",
            next_step="add the commit, as the hub shows it under `History`",
        )
    return Weights(_fetched(spec, revision), spec.split("/")[1], spec)


def named_weights(spec: str | None) -> Weights:
    """Weights from a folder or from `org/name@COMMIT`, or, for None, the shipped encoder's; raises ModelError."""
    if spec is None or Path(spec).is_dir():
        return find_weights(spec)
    name, _, revision = spec.partition("@")
    return find_weights(name, revision or None)


def _ours(folder: Path) -> Weights:
    """The weights of a model folder of this project, made of what labelling is served with."""
    from triage.learn.deep.restore import restored

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
