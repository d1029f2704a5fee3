"""A manifest from what a hub publishes beside a model: the configuration of transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from triage.engine.model_folder import ModelManifest, sha256_of
from triage.errors import ModelError

CONFIG_FILE, LIMIT_FILE = "config.json", "sentence_bert_config.json"
MAX_TOKENS = 256
PUBLISHED = "as published with the model"


def describe(folder: Path, model: str, revision: str) -> ModelManifest:
    """The manifest of a downloaded hub model; raises ModelError where its configuration does not do."""
    config = mapping_of((folder / CONFIG_FILE).read_bytes(), f"{CONFIG_FILE} of {model}")
    fields: dict[str, object] = {
        "name": model,
        "kind": "encoder",
        "source": model,
        "revision": revision,
        "licence": PUBLISHED,
        "opset": None,
        "dimension": config.get("hidden_size"),
        "max_tokens": _limit(folder, model),
        "quantisation": PUBLISHED,
        "files": {path.name: sha256_of(path) for path in sorted(folder.iterdir())},
        "versions": {},
    }
    if judges(config):
        labels = labels_of(config)
        fields |= {"kind": "zero-shot", "dimension": len(labels)}
        fields |= {"labels": labels, "entailment": entailment_of(labels)}
    return ModelManifest.from_dict(fields)


def judges(config: Mapping[str, object]) -> bool:
    """Whether a transformers configuration is that of a sequence classifier."""
    names = cast("list[str]", config.get("architectures") or [])
    return any(name.endswith("ForSequenceClassification") for name in names)


def labels_of(config: Mapping[str, object]) -> list[str]:
    """The labels of a transformers configuration in the order of the logits."""
    named = cast("Mapping[str, str]", config.get("id2label") or {})
    return [label for _, label in sorted(named.items(), key=lambda row: int(row[0]))]


def entailment_of(labels: list[str]) -> int:
    """Which logit says "entailed"; raises ModelError where none is named so."""
    for at, label in enumerate(labels):
        if label.lower().startswith("entail"):
            return at
    raise ModelError(
        f"none of the labels {', '.join(labels)} says entailment",
        likely="the model classifies something else",
        next_step="choose a model trained for natural language inference",
    )


def mapping_of(raw: bytes, where: str) -> Mapping[str, object]:
    """Decoded JSON that is a mapping; raises ModelError naming `where`."""
    try:
        data = json.loads(raw)
    except ValueError as error:
        raise ModelError(f"{where} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ModelError(f"{where} holds no mapping")
    return data


def _limit(folder: Path, model: str) -> object:
    path = folder / LIMIT_FILE
    if not path.is_file():
        return MAX_TOKENS
    return mapping_of(path.read_bytes(), f"{LIMIT_FILE} of {model}").get("max_seq_length") or MAX_TOKENS
