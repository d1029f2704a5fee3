"""Model folders: where they are, their manifests, and the check of their files.

A model folder holds `model.onnx`, `tokenizer.json`, `manifest.json` and `MODEL_CARD.md`. Shipped models are in
`model_cache/` at the top of the repository, in a wheel as `triage/_model_cache`, and in an image in the folder that
`TRIAGE_MODEL_CACHE` names. Pulled models are in `$XDG_CACHE_HOME/triage/models`, in a folder for each revision.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from triage.errors import ModelError
from triage.files import new_folder, read
from triage.schema import SchemaError, build, decoded

BUILTIN = "builtin"
BUILTIN_ENCODER = "issue-encoder"
KINDS = ("encoder", "zero-shot")
MODEL_FILE, TOKENIZER_FILE, MANIFEST_FILE = "model.onnx", "tokenizer.json", "manifest.json"
CARD_FILE = "MODEL_CARD.md"
# The concept head of an encoder (`triage.engine.zero_shot`): its vectors do not depend on it.
CONCEPTS_FILE = "concepts.npy"
# Of one file of a model.
MAX_BYTES = 2 * 2**30
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
REVISION = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ModelManifest:
    """The manifest of a model folder, read by `from_dict`.

    `dimension` is the length of a vector (encoder) or the number of logits of a pair (zero-shot); `files` maps names
    to sha256; `opset` is None for ONNX files of a hub; `concepts` are the rows of an encoder's concept head.
    `labels` are the classes of a zero-shot model, `entailment` is an index into them.
    """

    name: str
    kind: str = field(metadata={"choices": KINDS})
    source: str
    revision: str
    licence: str
    opset: int | None = field(metadata={"low": 1})
    dimension: int = field(metadata={"low": 1})
    max_tokens: int = field(metadata={"low": 8})
    quantisation: str
    files: dict[str, str]
    versions: dict[str, str]
    concepts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    entailment: int | None = field(default=None, metadata={"low": 0})

    @classmethod
    def from_dict(cls, data: object, where: str = "") -> ModelManifest:
        """Check every field; raises ModelError that begins with `where` and names the first wrong one."""
        try:
            return build(cls, data, "manifest")
        except SchemaError as error:
            raise ModelError(f"{where}{error}") from error

    def __post_init__(self) -> None:
        for name, sha in self.files.items():
            if Path(name).name != name or name == MANIFEST_FILE:
                raise SchemaError(
                    f"in 'manifest.files': {name!r} is not the name of a file in the model folder"
                )
            if not SHA256.fullmatch(sha):
                raise SchemaError(f"in 'manifest.files.{name}': expected 64 hex digits, found {sha!r:.70}")
        for name in (MODEL_FILE, TOKENIZER_FILE):
            if name not in self.files:
                raise SchemaError(f"in 'manifest.files': {name} is missing")
        judged = self.entailment is not None and self.entailment < len(self.labels)
        if self.kind == "zero-shot" and not judged:
            raise SchemaError("in 'manifest.entailment': expected an index into 'manifest.labels'")

    def to_dict(self) -> dict[str, object]:
        """The fields as values for JSON, without those that a model of this kind does not have."""
        values = dataclasses.asdict(self)
        if not self.concepts:
            del values["concepts"]
        if self.kind != "zero-shot":
            for name in ("labels", "entailment"):
                del values[name]
        return values

    def digest(self) -> str:
        """sha256 (hex) of the file hashes, without that of a concept head: equal digests, equal models."""
        files = sorted((name, sha) for name, sha in self.files.items() if name != CONCEPTS_FILE)
        lines = "".join(f"{sha}  {name}\n" for name, sha in files)
        return hashlib.sha256(lines.encode()).hexdigest()


@dataclass(frozen=True)
class Pins:
    """The pins of a hub model in the configuration: its commit and the sha256 of each of its files."""

    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)


def sha256_of(path: Path) -> str:
    """The hex digest of a file; raises ModelError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error


def read_manifest(folder: Path) -> ModelManifest:
    """The manifest of a model folder, without a check of its files; raises ModelError."""
    path = folder / MANIFEST_FILE
    return ModelManifest.from_dict(mapping_of(_read(path), str(path)), f"{path}: ")


def mapping_of(raw: bytes, where: str) -> Mapping[str, object]:
    """Decoded JSON that is a mapping; raises ModelError naming `where`."""
    try:
        data = decoded(raw)
    except SchemaError as error:
        raise ModelError(f"{where} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ModelError(f"{where} does not contain a mapping")
    return data


def write_manifest(folder: Path, manifest: ModelManifest) -> None:
    """Write `manifest.json`, the same bytes for the same manifest."""
    text = json.dumps(manifest.to_dict(), indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")


def verify(folder: Path) -> ModelManifest:
    """The manifest, after a check of every file it names; raises ModelError that names the file."""
    manifest = read_manifest(folder)
    check_files(folder, manifest.files)
    return manifest


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Raise ModelError for the first file of `files` (name to sha256) that is missing or differs."""
    for name, expected in files.items():
        actual = sha256_of(folder / name)
        if actual != expected:
            raise ModelError(f"{folder / name} was changed: expected sha256 {expected}, found {actual}")


def shipped_root() -> Path:
    """The folder of the shipped models: from the environment, in the wheel, or in the checkout."""
    named = os.environ.get("TRIAGE_MODEL_CACHE")
    if named:
        return Path(named)
    package = Path(__file__).resolve().parents[1]
    inside = package / "_model_cache"
    return inside if inside.is_dir() else package.parent / "model_cache"


def pulled_root() -> Path:
    """The folder of the pulled models, which need not exist."""
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(cache) if cache else Path.home() / ".cache") / "triage" / "models"
    except RuntimeError:
        raise ModelError(
            "there is no folder for models: the home folder is unknown",
            likely="HOME is not set, and the user has no entry in the system's list",
            next_step="set XDG_CACHE_HOME, or HOME, to a folder that can be written",
        ) from None


def pulled_folder(model: str, revision: str) -> Path:
    """The folder for revision `revision` (40 hex digits) of the hub model `org/name`."""
    return pulled_root() / model.replace("/", "--") / revision


def folders() -> list[Path]:
    """Every model folder on this machine: the shipped ones, then the pulled ones, each by name."""
    shipped, pulled = shipped_root().glob(f"*/{MANIFEST_FILE}"), list[Path]()
    # Without a home folder nothing was ever pulled.
    with suppress(ModelError):
        pulled = sorted(pulled_root().glob(f"*/[!.]*/{MANIFEST_FILE}"))
    return [path.parent for path in (*sorted(shipped), *pulled)]


def shipped(name: str) -> Path:
    """The folder of a shipped model; raises ModelError for an unknown name."""
    folder = shipped_root() / name
    if not (folder / MANIFEST_FILE).is_file():
        raise ModelError(
            f"no shipped model {name!r} in {shipped_root()}",
            likely="the installation is incomplete, or TRIAGE_MODEL_CACHE names another folder",
            next_step="install triage again, or run `triage models list` to see what is there",
        )
    return folder


def resolve(spec: str, pins: Pins) -> Path:
    """The model folder of `spec`: "builtin" (the shipped encoder), a folder, or a hub model `org/name` with pins.

    A pinned model is downloaded if it is not on this machine. Raises ModelError where pins are missing or a file
    differs from them, UnavailableError where the hub cannot be reached.
    """
    if spec == BUILTIN:
        return shipped(BUILTIN_ENCODER)
    if (Path(spec) / MANIFEST_FILE).is_file():
        return Path(spec)
    if not HUB_ID.fullmatch(spec):
        raise ModelError(
            f"no model {spec!r}: neither `{BUILTIN}`, nor a model folder, nor a hub model `org/name`",
            likely="a typing mistake, or a folder that `triage models export` did not make",
            next_step="run `triage models list` to see what is there",
        )
    if pins.revision is None or not REVISION.fullmatch(pins.revision) or not pins.sha256:
        raise ModelError(
            f"the hub model {spec} is not pinned by a revision of 40 hex digits and the sha256 of its files",
            likely="only its name was written into the configuration",
            next_step=f"`triage models pull {spec} --config FILE` writes them",
        )
    # The HTTP client is slow to import, and only a hub model needs it.
    from triage.engine.hub import fetch

    return fetch(spec, pins)


def packed(folder: Path) -> dict[str, bytes]:
    """The manifest of a model folder and the files it names, by name; raises ModelError."""
    return {name: _read(folder / name) for name in (MANIFEST_FILE, *read_manifest(folder).files)}


def _read(path: Path) -> bytes:
    try:
        return read(path, MAX_BYTES)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error


def unpacked(files: Mapping[str, bytes]) -> Path:
    """A model folder with these files, kept with the pulled models; raises ModelError. Opening it checks the files."""
    manifest = files.get(MANIFEST_FILE, b"")
    folder = pulled_root() / "bundles" / hashlib.sha256(manifest).hexdigest()
    if folder.is_dir():
        return folder
    try:
        with new_folder(folder) as draft:
            for name, data in files.items():
                (draft / Path(name).name).write_bytes(data)
    except OSError as error:
        raise ModelError(f"cannot write {folder}: {error.strerror}") from error
    return folder
