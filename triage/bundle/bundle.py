"""What learning leaves and serving loads: a folder of JSON and `.npy` files, hashed, without issue text.

    manifest.json   versions, settings, figures, and the sha256 of every other file
    rules.json      how labels are elected (triage.decide.rules)
    vectors.npy     float32 [n, p], unit length; the flat index is built from them when loaded
    rows.npy        int64 [n, 2]: index into the repositories, issue number
    labels.npy      int32: the label indices of row i are labels[offsets[i]:offsets[i + 1]]
    offsets.npy     int64 [n + 1]
    prior.npy       float32 [d], the mean of the encoder's vectors (corrects zero-shot scores)
    head-*.npy      the projection, where one was learnt
    encoder-*       a model folder, where an encoder was fine-tuned (`--adapt encoder`)

Nothing here is pickled, and no native parser reads a downloaded file but, where there is one, the fine-tuned
encoder's, whose hashes are checked first like those of every file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.decide.rules import Rules
from triage.errors import BundleError
from triage.issue import Key
from triage.parse import SchemaError, build
from triage.text import TEXT_VERSION

FORMAT = 1
MANIFEST = "manifest.json"
ENCODER = "encoder-"
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself.

    `figures` were measured on the newest window, unseen until then; `recipe` is what the gate compares; `bots` are
    the logins under which the bot has labelled; `after` is the bundle that was active when this one was learnt.
    """

    created_at: str
    triage_version: str
    encoder: str
    encoder_digest: str
    adaptation: str
    issues: int
    sources: tuple[str, ...]
    split: dict[str, str]
    figures: dict[str, float]
    files: dict[str, str] = field(default_factory=dict)
    zero_shot: str = ""
    text_version: int = TEXT_VERSION
    format: int = FORMAT
    head: dict[str, str] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    bots: tuple[str, ...] = ()
    after: str = ""


@dataclass(frozen=True)
class Rows:
    """The indexed issues: keys and label names, one entry for each vector."""

    keys: Sequence[Key]
    labels: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Bundle:
    """A loaded or freshly learnt bundle. `head` holds the arrays of the projection, if there is one,
    `encoder` the files of the fine-tuned encoder."""

    manifest: Manifest
    rules: Rules
    vectors: Floats
    rows: Rows
    prior: Floats
    head: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    encoder: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.rows.keys)
        if not n == len(self.rows.labels) == len(self.vectors) == self.manifest.issues:
            raise BundleError(f"{n} rows do not go with {len(self.vectors)} vectors")
        if self.vectors.ndim != 2 or not np.isfinite(self.vectors).all():
            raise BundleError("the vectors are not finite rows")


def to_files(bundle: Bundle) -> dict[str, bytes]:
    """The bundle as named files, the manifest with their hashes among them."""
    repos = list(dict.fromkeys(repo for repo, _ in bundle.rows.keys))
    names = list(dict.fromkeys(name for labels in bundle.rows.labels for name in labels))
    at = {name: i for i, name in enumerate(names)}
    place = {repo: i for i, repo in enumerate(repos)}
    offsets = np.cumsum([0, *(len(labels) for labels in bundle.rows.labels)], dtype=np.int64)
    files = {
        "rules.json": _json(
            {"rules": dataclasses.asdict(bundle.rules), "repositories": repos, "labels": names}
        ),
        "vectors.npy": _npy(bundle.vectors.astype(np.float32)),
        "rows.npy": _npy(
            np.array([(place[r], n) for r, n in bundle.rows.keys], dtype=np.int64).reshape(-1, 2)
        ),
        "labels.npy": _npy(
            np.array([at[x] for labels in bundle.rows.labels for x in labels], dtype=np.int32)
        ),
        "offsets.npy": _npy(offsets),
        "prior.npy": _npy(bundle.prior.astype(np.float32)),
        **{f"head-{name}.npy": _npy(array) for name, array in bundle.head.items()},
        **{f"{ENCODER}{name}": data for name, data in bundle.encoder.items()},
    }
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    manifest = dataclasses.replace(bundle.manifest, files=hashes)
    return {MANIFEST: _json(dataclasses.asdict(manifest)), **files}


def name_of(manifest: bytes, created_at: str) -> str:
    """A bundle's name: when it was made, and the start of its manifest's hash."""
    stamp = created_at.replace("-", "").replace(":", "")
    return f"{stamp}-{hashlib.sha256(manifest).hexdigest()[:10]}"


def from_files(files: Mapping[str, bytes], *, where: str) -> Bundle:
    """The bundle in `files`, every hash and shape checked first. Raises BundleError that names the file."""
    manifest = read_manifest(files.get(MANIFEST, b""), where=where)
    for name, expected in manifest.files.items():
        if name not in files:
            raise BundleError(f"{where}: {name} is missing")
        found = hashlib.sha256(files[name]).hexdigest()
        if found != expected:
            raise BundleError(f"{where}: {name} was changed: expected sha256 {expected}, found {found}")
    arrays = {
        name: _array(files[name], f"{where}: {name}") for name in manifest.files if name.endswith(".npy")
    }
    try:
        bundle = _assemble(manifest, files["rules.json"], arrays)
        own = {name.removeprefix(ENCODER): files[name] for name in manifest.files if name.startswith(ENCODER)}
        return replace(bundle, encoder=own)
    except SchemaError as error:
        raise BundleError(f"{where}: {error}") from None
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise BundleError(f"{where}: its files do not fit together ({error})") from None


def read_manifest(data: bytes, *, where: str) -> Manifest:
    """The manifest alone; refuses one of another format or text version. Raises BundleError."""
    try:
        manifest = build(Manifest, json.loads(data))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where}: {MANIFEST} cannot be read ({error})") from None
    for what, found, expected in (
        ("format", manifest.format, FORMAT),
        ("text version", manifest.text_version, TEXT_VERSION),
    ):
        if found != expected:
            raise BundleError(
                f"{where}: its {what} is {found}, this version of triage reads {expected}",
                likely="the bundle was learnt by another version of triage",
                next_step="run `triage retrain` with this version",
            )
    return manifest


def _assemble(manifest: Manifest, rules: bytes, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Bundle:
    tables = json.loads(rules)
    names, repos = tables["labels"], tables["repositories"]
    flat = [names[i] for i in arrays["labels.npy"].tolist()]
    bounds = arrays["offsets.npy"].tolist()
    return Bundle(
        manifest=manifest,
        rules=build(Rules, tables["rules"], "rules"),
        vectors=arrays["vectors.npy"].astype(np.float32, copy=False),
        rows=Rows(
            keys=[(repos[r], n) for r, n in arrays["rows.npy"].tolist()],
            labels=[tuple(flat[a:b]) for a, b in pairwise(bounds)],
        ),
        prior=arrays["prior.npy"].astype(np.float32, copy=False),
        head={
            name.removeprefix("head-").removesuffix(".npy"): array
            for name, array in arrays.items()
            if name.startswith("head-")
        },
    )


def _array(data: bytes, where: str) -> npt.NDArray[np.generic]:
    try:
        array: npt.NDArray[np.generic] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError) as error:
        raise BundleError(f"{where}: not an array ({error})") from None
    return array


def _npy(array: npt.NDArray[np.generic]) -> bytes:
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()


def _json(data: object) -> bytes:
    return (json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
