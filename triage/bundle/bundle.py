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

A bundle of too many issues to compare one by one (`triage.engine.ivf_build`) has FORMAT_COMPRESSED. Its rows are in
the order of the lists, and instead of vectors, rows, labels and offsets it holds `triage.engine.index.Codes` and
`triage.bundle.ivf_files.Table`:

    index-codes.npy uint8 [n, p]; mapped into memory, and each list checked against its own hash when it is read
    index-rows.npy, index-labels.npy, index-offsets.npy   as above; mapped, checked by block, one for each list
    index-*.npy     centroids, owners, ranges, bounds, hashes of lists and blocks: small, and read whole

Nothing here is pickled, and no native parser reads a downloaded file but, where there is one, the fine-tuned
encoder's, whose hashes are checked first like those of every file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from mmap import mmap
from typing import Any

import numpy as np

from triage.arrays import AnyArray, Data, Floats, npy, read, view
from triage.bundle.ivf_files import (
    MAPPED,
    LazyKeys,
    LazyLabels,
    RepositorySlice,
    codes_of,
    files_of,
    rows_of,
    sliced,
    table,
)
from triage.decide.rules import Rules
from triage.engine.index import IvfCodes
from triage.errors import BundleError
from triage.issue import Key
from triage.schema import SchemaError, build
from triage.text import TEXT_VERSION

FORMAT = 1
FORMAT_COMPRESSED = 4
MANIFEST = "manifest.json"
ENCODER = "encoder-"


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
class BundleManifest:
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

    manifest: BundleManifest
    rules: Rules
    vectors: Floats
    rows: Rows
    prior: Floats
    head: Mapping[str, AnyArray] = field(default_factory=dict)
    encoder: Mapping[str, bytes] = field(default_factory=dict)
    codes: IvfCodes | None = None

    def __post_init__(self) -> None:
        n, indexed = len(self.rows.keys), len(self.vectors if self.codes is None else self.codes)
        if not n == len(self.rows.labels) == indexed == self.manifest.issues:
            raise BundleError(f"{n} rows do not go with {indexed} vectors")
        if (self.codes is None) != (self.manifest.index is None):
            raise BundleError("the manifest tells of another kind of index than there is")
        if self.codes is not None and (self.codes.owners < 0).any() == (self.rules.shared == ()):
            raise BundleError("the lists of the index are not those that the rules search")
        if self.vectors.ndim != 2 or not np.isfinite(self.vectors).all():
            raise BundleError("the vectors are not finite rows")

    def verify(self) -> None:
        """Read what is only read when it is searched, too. Raises BundleError where it was changed."""
        if self.codes is not None:
            self.codes.verify()
        if isinstance(self.rows.keys, LazyKeys):
            self.rows.keys.table.verify()

    def within(self, own: RepositorySlice) -> Bundle:
        """The bundle with the issues of that slice alone: to be searched, not to be saved."""
        keys, labels = self.rows.keys, self.rows.labels
        if self.codes is None or not isinstance(keys, LazyKeys) or not isinstance(labels, LazyLabels):
            return self
        codes, keys, labels = sliced(self.codes, keys, labels, own)
        manifest = replace(self.manifest, issues=len(keys))
        return replace(self, manifest=manifest, rows=Rows(keys, labels), codes=codes)


def to_files(bundle: Bundle) -> dict[str, bytes]:
    """The bundle as named files, the manifest with their hashes among them."""
    repos, names, indexed = _indexed(bundle)
    files = {
        "rules.json": _json({"rules": _stated(bundle.rules), "repositories": repos, "labels": names}),
        **indexed,
        "prior.npy": npy(bundle.prior.astype(np.float32)),
        **{f"head-{name}.npy": npy(array) for name, array in bundle.head.items()},
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


def _indexed(bundle: Bundle) -> tuple[Sequence[str], Sequence[str], dict[str, bytes]]:
    """(repositories, label names, the files that refer to them)."""
    rows, codes = bundle.rows, bundle.codes
    if codes is not None and isinstance(rows.keys, LazyKeys) and isinstance(rows.labels, LazyLabels):
        return rows.keys.repos, rows.labels.names, files_of(codes, rows.keys.table)
    repos = list(dict.fromkeys(repo for repo, _ in rows.keys))
    names = list(dict.fromkeys(name for labels in rows.labels for name in labels))
    at = {name: i for i, name in enumerate(names)}
    place = {repo: i for i, repo in enumerate(repos)}
    keys = np.array([(place[r], n) for r, n in rows.keys], dtype=np.int64).reshape(-1, 2)
    flat = np.array([at[x] for labels in rows.labels for x in labels], dtype=np.int32)
    offsets = np.cumsum([0, *(len(labels) for labels in rows.labels)], dtype=np.int64)
    if codes is not None:
        return repos, names, files_of(codes, table(keys, flat, offsets, codes.bounds))
    arrays: dict[str, AnyArray] = {
        "vectors": bundle.vectors.astype(np.float32),
        "rows": keys,
        "labels": flat,
        "offsets": offsets,
    }
    return repos, names, {f"{name}.npy": npy(array) for name, array in arrays.items()}


def name_of(manifest: bytes, created_at: str) -> str:
    """A bundle's name: when it was made, and the start of its manifest's hash."""
    stamp = created_at.replace("-", "").replace(":", "")
    return f"{stamp}-{hashlib.sha256(manifest).hexdigest()[:10]}"


def from_files(files: Mapping[str, Data], *, where: str) -> Bundle:
    """The bundle in `files`, every hash and shape checked first. Raises BundleError that names the file.

    What of a compressed index is mapped is not read here: each part of it is checked when it is.
    """
    manifest = read_manifest(bytes(files.get(MANIFEST, b"")), where=where)
    for name, expected in manifest.files.items():
        if name not in files:
            raise BundleError(f"{where}: {name} is missing")
        if name in MAPPED and isinstance(files[name], mmap):
            continue
        found = hashlib.sha256(files[name]).hexdigest()
        if found != expected:
            raise BundleError(f"{where}: {name} was changed: expected sha256 {expected}, found {found}")
    reading = view if manifest.format == FORMAT_COMPRESSED else read
    arrays = {
        name: reading(files[name], f"{where}: {name}") for name in manifest.files if name.endswith(".npy")
    }
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


def read_manifest(data: bytes, *, where: str) -> BundleManifest:
    """The manifest alone; refuses one of another format or text version. Raises BundleError."""
    try:
        manifest = build(BundleManifest, json.loads(data))
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


def _assemble(manifest: BundleManifest, rules: bytes, arrays: Mapping[str, AnyArray]) -> Bundle:
    tables, made = json.loads(rules), manifest.index
    repos, names = tables["repositories"], tables["labels"]
    vectors, codes = np.empty((0, 0), np.float32), None
    if manifest.format != FORMAT_COMPRESSED:
        vectors = arrays["vectors.npy"].astype(np.float32, copy=False)
        rows = _listed_rows(repos, names, arrays)
    elif made is None:
        raise BundleError("the manifest does not tell how the index was compressed")
    else:
        codes = codes_of(made.probes, made.recall, arrays)
        rows = Rows(*rows_of(repos, names, codes, arrays))
    return Bundle(
        manifest=manifest,
        rules=build(Rules, tables["rules"], "rules"),
        vectors=vectors,
        rows=rows,
        prior=arrays["prior.npy"].astype(np.float32, copy=False),
        head={
            name.removeprefix("head-").removesuffix(".npy"): array
            for name, array in arrays.items()
            if name.startswith("head-")
        },
        codes=codes,
    )


def _listed_rows(repos: Sequence[str], names: Sequence[str], arrays: Mapping[str, AnyArray]) -> Rows:
    flat = [names[i] for i in arrays["labels.npy"].tolist()]
    return Rows(
        keys=[(repos[r], n) for r, n in arrays["rows.npy"].tolist()],
        labels=[tuple(flat[a:b]) for a, b in pairwise(arrays["offsets.npy"].tolist())],
    )


def _json(data: object) -> bytes:
    return (json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
