"""Models from a hub, pinned by commit and hash; uses the standard library only.

The hub is `HF_ENDPOINT`, or https://huggingface.co. Only ONNX, a tokenizer and JSON are downloaded: no code and no
pickle. A pulled model is used without a request to the hub.
"""

from __future__ import annotations

import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast

from triage.engine.model_folder import (
    MAX_BYTES,
    MODEL_FILE,
    REVISION,
    TOKENIZER_FILE,
    ModelManifest,
    Pins,
    check_files,
    mapping_of,
    pulled_folder,
    sha256_of,
    write_manifest,
)
from triage.errors import ModelError, UnavailableError
from triage.files import CHUNK, new_folder

CONFIG_FILE, LIMIT_FILE = "config.json", "sentence_bert_config.json"
MAX_TOKENS = 256
PUBLISHED = "as published with the model"
ONNX_PATHS = ("onnx/model.onnx", MODEL_FILE)
POOLING_FILE = "1_Pooling/config.json"
# A silent hub is given up after SECONDS; a file may take longer, if after GRACE seconds its pace is LEAST_PACE.
SECONDS, GRACE, LEAST_PACE = 60, 60, 64 * 1024
MOST_JSON = 8 * 2**20


def pull(model: str, revision: str = "main") -> Pins:
    """Download a hub model and return its pins; raises ModelError or UnavailableError.

    `revision` is a branch, a tag or a commit; the pins name its present commit.
    """
    about = _json(f"api/models/{model}/revision/{urllib.parse.quote(revision, safe='')}", model)
    commit = about.get("sha")
    if not isinstance(commit, str) or not REVISION.fullmatch(commit):
        raise ModelError(f"the hub names no commit for revision {revision!r} of {model}")
    siblings = cast("list[dict[str, str]]", about.get("siblings", []))
    paths = {file["rfilename"] for file in siblings}
    onnx = next((path for path in ONNX_PATHS if path in paths), None)
    if onnx is None:
        raise ModelError(
            f"{model} holds no ONNX file ({' or '.join(ONNX_PATHS)})",
            likely="its authors published weights for PyTorch only",
            next_step=f"`triage models export {model} --out DIR` makes one",
        )
    pooling = _json(f"{model}/resolve/{commit}/{POOLING_FILE}", model) if POOLING_FILE in paths else None
    if pooling is not None and not pooling.get("pooling_mode_mean_tokens"):
        raise ModelError(
            f"{model} does not use mean pooling",
            likely="it was trained to use its first token (CLS pooling)",
            next_step="choose a model with mean pooling",
        )
    wanted = [onnx, TOKENIZER_FILE, CONFIG_FILE, *({LIMIT_FILE} & paths)]
    folder = pulled_folder(model, commit)
    with new_folder(folder) as draft:
        pins = Pins(commit, {path: _download(model, commit, path, draft) for path in wanted})
        write_manifest(draft, describe(draft, model, commit))
        shutil.rmtree(folder, ignore_errors=True)
    return pins


def fetch(model: str, pins: Pins) -> Path:
    """The folder of a pinned model, downloaded if it is not on this machine.

    Raises ModelError for a file that differs from its pin, or UnavailableError.
    """
    revision = pins.revision or ""
    local = {_local(path): sha for path, sha in pins.sha256.items()}
    missing = sorted({MODEL_FILE, TOKENIZER_FILE, CONFIG_FILE} - set(local))
    if missing:
        raise ModelError(
            f"the pins of {model} lack the sha256 of {', '.join(missing)}",
            likely="they were written by hand",
            next_step=f"`triage models pull {model} --config FILE` writes them",
        )
    folder = pulled_folder(model, revision)
    if not folder.is_dir():
        with new_folder(folder) as draft:
            for path in pins.sha256:
                _download(model, revision, path, draft)
            check_files(draft, local)
            write_manifest(draft, describe(draft, model, revision))
    check_files(folder, local)
    return folder


def _local(path: str) -> str:
    return MODEL_FILE if path.endswith(".onnx") else Path(path).name


def _json(path: str, model: str) -> Mapping[str, object]:
    with _opened(path, model) as response:
        return mapping_of(b"".join(_chunks(response, MOST_JSON)), path)


def _download(model: str, revision: str, path: str, folder: Path) -> str:
    file = folder / _local(path)
    with _opened(f"{model}/resolve/{revision}/{path}", model) as response, file.open("wb") as out:
        out.writelines(_chunks(response, MAX_BYTES))
    return sha256_of(file)


def _chunks(response: HTTPResponse, most: int) -> Iterator[bytes]:
    """What the hub sends. Raises ModelError beyond `most` bytes, TimeoutError where it comes too slowly."""
    start, size = time.monotonic(), 0
    while chunk := response.read1(CHUNK):
        size += len(chunk)
        if size > most:
            raise ModelError(
                f"{response.url} is longer than {most:,} bytes",
                likely="it is not a model that triage can use",
                next_step="choose a smaller model",
            )
        if time.monotonic() - start > GRACE + size / LEAST_PACE:
            raise TimeoutError(f"less than {LEAST_PACE // 1024} kB a second")
        yield chunk


@contextmanager
def _opened(path: str, model: str) -> Iterator[HTTPResponse]:
    """The hub's response; raises ModelError and UnavailableError, also while it is read."""
    url = f"{_endpoint()}/{path}"
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as response:  # noqa: S310 - _endpoint
            yield response
    except (urllib.error.URLError, TimeoutError, ConnectionError, HTTPException) as error:
        status = 0
        if isinstance(error, urllib.error.HTTPError):
            status = error.code
            error.close()
        if 400 <= status < 500 and status != HTTPStatus.TOO_MANY_REQUESTS:
            raise ModelError(
                f"{url}: HTTP {status}",
                likely=f"the hub has no public model {model}, no such revision or no such file",
                next_step="look for the model in a browser; gated and private models are not supported",
            ) from error
        raise UnavailableError(
            f"cannot download {url}: {f'HTTP {status}' if status else error}",
            likely="the model hub limits requests, or cannot be reached from this machine",
            next_step="run the command again later, or use the model inside the action (`model: builtin`)",
        ) from error


def _endpoint() -> str:
    """The hub's address; HTTP only on this machine. Raises ModelError."""
    url = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1"}):
        return url
    raise ModelError(f"HF_ENDPOINT is {url!r}: expected an https:// address", likely="", next_step="")


def describe(folder: Path, model: str, revision: str) -> ModelManifest:
    """The manifest of a downloaded hub model; raises ModelError where its configuration lacks something."""
    config = mapping_of((folder / CONFIG_FILE).read_bytes(), f"{CONFIG_FILE} of {model}")
    limit = folder / LIMIT_FILE
    limits = mapping_of(limit.read_bytes(), f"{LIMIT_FILE} of {model}") if limit.is_file() else {}
    fields: dict[str, object] = {
        "name": model,
        "kind": "encoder",
        "source": model,
        "revision": revision,
        "licence": PUBLISHED,
        "opset": None,
        "dimension": config.get("hidden_size"),
        "max_tokens": limits.get("max_seq_length") or MAX_TOKENS,
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
    """The index of the logit of entailment; raises ModelError where no label is named so."""
    for at, label in enumerate(labels):
        if label.lower().startswith("entail"):
            return at
    raise ModelError(
        f"none of the labels {', '.join(labels)} is named entailment",
        likely="the model classifies something else",
        next_step="choose a model trained for natural language inference",
    )
