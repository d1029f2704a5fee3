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

A bundle of too many issues to compare one by one (`triage.engine.compress`) has FORMAT_COMPRESSED. Its rows are in
the order of the lists, and instead of `vectors.npy` it holds the arrays of `triage.engine.compressed.Codes`:

    index-codes.npy uint8 [n, p]; mapped into memory, and each list checked against its own hash when it is read
    index-*.npy     centroids, ranges, bounds, hashes: small, and read whole like every other file

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
from mmap import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.bundle.packed import PackedKeys, PackedLabels
from triage.decide.rules import Rules
from triage.engine.compress import refuse_below_floor
from triage.engine.compressed import Codes
from triage.errors import BundleError
from triage.issue import Key
from triage.parse import SchemaError, build
from triage.text import TEXT_VERSION

FORMAT = 1
FORMAT_COMPRESSED = 2
MANIFEST = "manifest.json"
ENCODER = "encoder-"
CODES = "index-codes.npy"
INDEX = ("centroids", "ranges", "bounds", "hashes")
Data = bytes | mmap
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Compression:
    """How the compressed index was made.

    `recall` of the 25 nearest against exact search, with `queries` rows held out; `rows` is how many its lists were
    drawn from, `changed` how many have come or gone since; a search reads `probes` lists.
    """

    probes: int
    recall: float
    queries: int
    rows: int
    changed: int = 0


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
    index: Compression | None = None


@dataclass(frozen=True)
class Rows:
    """The indexed issues: keys and label names, one entry for each vector."""

    keys: Sequence[Key]
    labels: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Bundle:
    """A loaded or freshly learnt bundle. `head` holds the arrays of the projection, if there is one,
    `encoder` the files of the fine-tuned encoder. Where there are `codes`, they stand in the place of `vectors`."""

    manifest: Manifest
    rules: Rules
    vectors: Floats
    rows: Rows
    prior: Floats
    head: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    encoder: Mapping[str, bytes] = field(default_factory=dict)
    codes: Codes | None = None

    def __post_init__(self) -> None:
        n, indexed = len(self.rows.keys), len(self.vectors if self.codes is None else self.codes)
        if not n == len(self.rows.labels) == indexed == self.manifest.issues:
            raise BundleError(f"{n} rows do not go with {indexed} vectors")
        if (self.codes is None) != (self.manifest.index is None):
            raise BundleError("the manifest tells of another kind of index than there is")
        if self.vectors.ndim != 2 or not np.isfinite(self.vectors).all():
            raise BundleError("the vectors are not finite rows")

    def verify(self) -> None:
        """Read what is only read when it is searched, too. Raises BundleError where it was changed."""
        if self.codes is not None:
            self.codes.verify()


def to_files(bundle: Bundle) -> dict[str, bytes]:
    """The bundle as named files, the manifest with their hashes among them."""
    repos, names, arrays = _tables(bundle.rows)
    files = {
        "rules.json": _json({"rules": _stated(bundle.rules), "repositories": repos, "labels": names}),
        **_indexed(bundle),
        **{f"{name}.npy": _npy(array) for name, array in arrays.items()},
        "prior.npy": _npy(bundle.prior.astype(np.float32)),
        **{f"head-{name}.npy": _npy(array) for name, array in bundle.head.items()},
        **{f"{ENCODER}{name}": data for name, data in bundle.encoder.items()},
    }
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    manifest = dataclasses.asdict(dataclasses.replace(bundle.manifest, files=hashes))
    if bundle.codes is None:
        del manifest["index"]
    return {MANIFEST: _json(manifest), **files}


def _stated(rules: Rules) -> dict[str, Any]:
    """The rules; of several repositories whose labels are all shared nothing needs to be said."""
    said = dataclasses.asdict(rules)
    if rules.shared == Rules.shared:
        del said["shared"]
    return said


def _tables(rows: Rows) -> tuple[Sequence[str], Sequence[str], dict[str, npt.NDArray[np.generic]]]:
    """(repositories, label names, the arrays that refer to them)."""
    if isinstance(rows.keys, PackedKeys) and isinstance(rows.labels, PackedLabels):
        held = {"rows": rows.keys.rows, "labels": rows.labels.flat, "offsets": rows.labels.offsets}
        return rows.keys.repos, rows.labels.names, {name: np.asarray(array) for name, array in held.items()}
    repos = list(dict.fromkeys(repo for repo, _ in rows.keys))
    names = list(dict.fromkeys(name for labels in rows.labels for name in labels))
    at = {name: i for i, name in enumerate(names)}
    place = {repo: i for i, repo in enumerate(repos)}
    offsets = np.cumsum([0, *(len(labels) for labels in rows.labels)], dtype=np.int64)
    return (
        repos,
        names,
        {
            "rows": np.array([(place[r], n) for r, n in rows.keys], dtype=np.int64).reshape(-1, 2),
            "labels": np.array([at[x] for labels in rows.labels for x in labels], dtype=np.int32),
            "offsets": offsets,
        },
    )


def _indexed(bundle: Bundle) -> dict[str, bytes]:
    """The vectors, or what stands in their place."""
    codes = bundle.codes
    if codes is None:
        return {"vectors.npy": _npy(bundle.vectors.astype(np.float32))}
    return {CODES: _npy(codes.codes), **{f"index-{name}.npy": _npy(getattr(codes, name)) for name in INDEX}}


def name_of(manifest: bytes, created_at: str) -> str:
    """A bundle's name: when it was made, and the start of its manifest's hash."""
    stamp = created_at.replace("-", "").replace(":", "")
    return f"{stamp}-{hashlib.sha256(manifest).hexdigest()[:10]}"


def from_files(files: Mapping[str, Data], *, where: str) -> Bundle:
    """The bundle in `files`, every hash and shape checked first. Raises BundleError that names the file.

    The codes of a compressed index that are mapped are not read here: each list is checked when it is.
    """
    manifest = read_manifest(bytes(files.get(MANIFEST, b"")), where=where)
    for name, expected in manifest.files.items():
        if name not in files:
            raise BundleError(f"{where}: {name} is missing")
        if name == CODES and isinstance(files[name], mmap):
            continue
        found = hashlib.sha256(files[name]).hexdigest()
        if found != expected:
            raise BundleError(f"{where}: {name} was changed: expected sha256 {expected}, found {found}")
    read = _view if manifest.format == FORMAT_COMPRESSED else _array
    arrays = {name: read(files[name], f"{where}: {name}") for name in manifest.files if name.endswith(".npy")}
    try:
        bundle = _assemble(manifest, bytes(files["rules.json"]), arrays)
        own = {
            name.removeprefix(ENCODER): bytes(files[name])
            for name in manifest.files
            if name.startswith(ENCODER)
        }
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
    for what, found, known in (
        ("format", manifest.format, (FORMAT, FORMAT_COMPRESSED)),
        ("text version", manifest.text_version, (TEXT_VERSION,)),
    ):
        if found not in known:
            raise BundleError(
                f"{where}: its {what} is {found}, this version of triage reads {' and '.join(map(str, known))}",
                likely="the bundle was learnt by another version of triage",
                next_step="run `triage retrain` with this version",
            )
    return manifest


def _assemble(manifest: Manifest, rules: bytes, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Bundle:
    tables = json.loads(rules)
    compressed = manifest.format == FORMAT_COMPRESSED
    prior = arrays["prior.npy"].astype(np.float32, copy=False)
    return Bundle(
        manifest=manifest,
        rules=build(Rules, tables["rules"], "rules"),
        vectors=np.empty((0, 0), np.float32)
        if compressed
        else arrays["vectors.npy"].astype(np.float32, copy=False),
        rows=(_packed_rows if compressed else _listed_rows)(tables, arrays),
        prior=prior,
        head={
            name.removeprefix("head-").removesuffix(".npy"): array
            for name, array in arrays.items()
            if name.startswith("head-")
        },
        codes=_codes(manifest, arrays) if compressed else None,
    )


def _listed_rows(tables: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[np.generic]]) -> Rows:
    names, repos = tables["labels"], tables["repositories"]
    flat = [names[i] for i in arrays["labels.npy"].tolist()]
    return Rows(
        keys=[(repos[r], n) for r, n in arrays["rows.npy"].tolist()],
        labels=[tuple(flat[a:b]) for a, b in pairwise(arrays["offsets.npy"].tolist())],
    )


def _packed_rows(tables: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[np.generic]]) -> Rows:
    return Rows(
        keys=PackedKeys(tables["repositories"], arrays["rows.npy"].astype(np.int64, copy=False)),
        labels=PackedLabels(
            tables["labels"],
            arrays["labels.npy"].astype(np.int32, copy=False),
            arrays["offsets.npy"].astype(np.int64, copy=False),
        ),
    )


def _codes(manifest: Manifest, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Codes:
    if manifest.index is None:
        raise BundleError("the manifest does not tell how the index was compressed")
    refuse_below_floor(manifest.index.recall)
    found = {name: arrays[f"index-{name}.npy"] for name in INDEX}
    return Codes(
        centroids=found["centroids"].astype(np.float32, copy=False),
        ranges=found["ranges"].astype(np.float32, copy=False),
        codes=arrays[CODES],  # type: ignore[arg-type]  # checked there
        bounds=found["bounds"].astype(np.int64, copy=False),
        hashes=found["hashes"].astype(np.uint8, copy=False),
        probes=manifest.index.probes,
    )


def _view(data: Data, where: str) -> npt.NDArray[np.generic]:
    """The array in the data, without a copy."""
    try:
        head = io.BytesIO(data[:1024])
        version = np.lib.format.read_magic(head)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, in_columns, kind = read(head)
        if kind.hasobject or in_columns:
            raise ValueError("objects, or columns first")
        count = int(np.prod(shape, dtype=object))
        array = np.frombuffer(data, dtype=kind, offset=head.tell(), count=count)
        return array.reshape(shape)
    except (ValueError, EOFError, KeyError, OSError, TypeError, OverflowError) as error:
        raise BundleError(f"{where}: not an array ({error})") from None


def _array(data: Data, where: str) -> npt.NDArray[np.generic]:
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
