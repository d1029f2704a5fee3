"""A bundle, the result of learning: a folder of hashed JSON and `.npy` files, without issue text.

    manifest.json   versions, settings, figures, and the sha256 of every other file
    rules.json      how labels are elected (triage.decide.rules)
    vectors.npy     float32 [n, p], unit length; the flat index is built from them when loaded
    rows.npy        int64 [n, 2]: index into the repositories, issue number
    labels.npy      int32: the label indices of row i are labels[offsets[i]:offsets[i + 1]]
    offsets.npy     int64 [n + 1]
    prior.npy       float32 [d], the mean of the encoder's vectors (corrects zero-shot scores)
    head-*.npy      the projection, where one was learnt
    encoder-*       a model folder, where an encoder was fine-tuned (`--adapt encoder`)

A bundle of more issues than are compared one by one (`triage.engine.ivf_build`) has FORMAT_COMPRESSED. Its rows are in
the order of the lists, and in place of vectors, rows, labels and offsets it holds `triage.engine.index.IvfCodes` and
`triage.bundle.ivf_files.LazyRows`:

    index-codes.npy uint8 [n, p]; mapped into memory, and each list checked against its own hash when it is read
    index-rows.npy, index-labels.npy, index-offsets.npy   as above; mapped, checked by block, one for each list
    index-*.npy     centroids, owners, ranges, bounds, hashes of lists and blocks: small, and read whole

Nothing is pickled. The only native parser that reads a downloaded file is the one of a fine-tuned encoder, after its
hashes were checked.
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

from triage.arrays import AnyArray, Data, Floats, npy, view
from triage.bundle.ivf_files import (
    MAPPED,
    LazyKeys,
    LazyLabels,
    LazyRows,
    RepositorySlice,
    index_files,
    index_from,
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
    """The compressed index: how it was made and how well it searches.

    `recall` of the 25 nearest against exact search, of `queries` held-out rows. The lists were drawn from `rows` rows,
    of which `changed` have come or gone since. A search reads `probes` lists.
    """

    probes: int
    recall: float
    queries: int
    rows: int
    changed: int = 0


@dataclass(frozen=True)
class BundleManifest:
    """The origin of a bundle and the hashes of its files.

    `figures` were measured on the newest window, which nothing was tuned on. The gate compares `recipe`. `bots` are
    logins under which the bot has labelled. `after` is the bundle that was active when this one was learnt.
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
    """A bundle, loaded or just learnt.

    `head` holds the arrays of the projection and `encoder` the files of a fine-tuned encoder, if there are any. With
    `codes`, the compressed index, `vectors` is empty. Raises BundleError where the parts do not match.
    """

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
            raise BundleError("the manifest names another kind of index than the bundle has")
        if self.codes is not None and (self.codes.owners < 0).any() == (self.rules.shared == ()):
            raise BundleError("the lists of the index are not those that the rules search")
        if self.vectors.ndim != 2 or not np.isfinite(self.vectors).all():
            raise BundleError("the vectors are not finite rows")

    def verify(self) -> None:
        """Also read the parts that loading leaves out. Raises BundleError for the first that was changed."""
        if self.codes is not None:
            self.codes.verify()
        if isinstance(self.rows.keys, LazyKeys):
            self.rows.keys.table.verify()

    def within(self, own: RepositorySlice) -> Bundle:
        """The bundle with only the issues of that slice: to be searched, not to be saved."""
        keys, labels = self.rows.keys, self.rows.labels
        if self.codes is None or not isinstance(keys, LazyKeys) or not isinstance(labels, LazyLabels):
            return self
        codes, table = own.cut(self.codes, keys.table)
        rows = Rows(LazyKeys(keys.repos, table), LazyLabels(labels.names, table))
        return replace(self, manifest=replace(self.manifest, issues=len(table)), rows=rows, codes=codes)


def to_files(bundle: Bundle) -> dict[str, bytes]:
    """The bundle as named files, with the manifest that holds their hashes."""
    repos, names, indexed = _indexed(bundle)
    rules = dataclasses.asdict(bundle.rules)
    if bundle.rules.shared == Rules.shared:
        del rules["shared"]
    files = {
        "rules.json": _json({"rules": rules, "repositories": repos, "labels": names}),
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


def _indexed(bundle: Bundle) -> tuple[Sequence[str], Sequence[str], dict[str, bytes]]:
    """(repositories, label names, the files that refer to them)."""
    rows, codes = bundle.rows, bundle.codes
    if codes is not None and isinstance(rows.keys, LazyKeys) and isinstance(rows.labels, LazyLabels):
        return rows.keys.repos, rows.labels.names, index_files(codes, rows.keys.table)
    repos = list(dict.fromkeys(repo for repo, _ in rows.keys))
    names = list(dict.fromkeys(name for labels in rows.labels for name in labels))
    name_index = {name: i for i, name in enumerate(names)}
    repo_index = {repo: i for i, repo in enumerate(repos)}
    keys = np.array([(repo_index[r], n) for r, n in rows.keys], dtype=np.int64).reshape(-1, 2)
    flat = np.array([name_index[x] for labels in rows.labels for x in labels], dtype=np.int32)
    offsets = np.cumsum([0, *(len(labels) for labels in rows.labels)], dtype=np.int64)
    if codes is not None:
        return repos, names, index_files(codes, LazyRows.hashed(keys, flat, offsets, codes.bounds))
    vectors = npy(bundle.vectors.astype(np.float32))
    rest = {"rows.npy": npy(keys), "labels.npy": npy(flat), "offsets.npy": npy(offsets)}
    return repos, names, {"vectors.npy": vectors, **rest}


def name_of(manifest: bytes, created_at: str) -> str:
    """A bundle's name: when it was made, and the start of its manifest's hash."""
    stamp = created_at.replace("-", "").replace(":", "")
    return f"{stamp}-{hashlib.sha256(manifest).hexdigest()[:10]}"


def from_files(files: Mapping[str, Data], *, where: str) -> Bundle:
    """The bundle in `files`, after a check of every hash and shape. Raises BundleError that names the file.

    The mapped files of a compressed index are not read here: each part is checked when it is read.
    """
    manifest = read_manifest(bytes(files.get(MANIFEST, b"")), where=where)
    for name, expected in manifest.files.items():
        if name not in files:
            raise BundleError(f"{where}: {name} is missing")
        if name in MAPPED and isinstance(files[name], mmap):
            continue
        actual = hashlib.sha256(files[name]).hexdigest()
        if actual != expected:
            raise BundleError(f"{where}: {name} was changed: expected sha256 {expected}, found {actual}")
    names = manifest.files
    arrays = {name: view(files[name], f"{where}: {name}") for name in names if name.endswith(".npy")}
    encoder = {name.removeprefix(ENCODER): bytes(files[name]) for name in names if name.startswith(ENCODER)}
    try:
        return _assemble(manifest, json.loads(bytes(files["rules.json"])), arrays, encoder)
    except SchemaError as error:
        raise BundleError(f"{where}: {error}") from None
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise BundleError(f"{where}: its files do not match ({error})") from None


def read_manifest(data: bytes, *, where: str) -> BundleManifest:
    """The manifest alone. Raises BundleError, also for another format or text version."""
    try:
        manifest = build(BundleManifest, json.loads(data))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where}: {MANIFEST} cannot be read ({error})") from None
    for what, version, readable in (
        ("format", manifest.format, (FORMAT, FORMAT_COMPRESSED)),
        ("text version", manifest.text_version, (TEXT_VERSION,)),
    ):
        if version not in readable:
            raise BundleError(
                f"{where}: its {what} is {version}, this version of triage reads {' and '.join(map(str, readable))}",
                likely="the bundle was learnt by another version of triage",
                next_step="run `triage retrain` with this version",
            )
    return manifest


def _assemble(
    manifest: BundleManifest,
    stated: Mapping[str, Any],
    arrays: Mapping[str, AnyArray],
    encoder: Mapping[str, bytes],
) -> Bundle:
    repos, names = stated["repositories"], stated["labels"]
    vectors, codes = np.empty((0, 0), np.float32), None
    if manifest.format != FORMAT_COMPRESSED:
        vectors = arrays["vectors.npy"].astype(np.float32, copy=False)
        flat = [names[i] for i in arrays["labels.npy"].tolist()]
        rows = Rows(
            keys=[(repos[r], n) for r, n in arrays["rows.npy"].tolist()],
            labels=[tuple(flat[a:b]) for a, b in pairwise(arrays["offsets.npy"].tolist())],
        )
    elif manifest.index is None:
        raise BundleError("the manifest does not describe the compressed index")
    else:
        codes, table = index_from(arrays, manifest.index.probes, manifest.index.recall)
        rows = Rows(LazyKeys(repos, table), LazyLabels(names, table))
    return Bundle(
        manifest=manifest,
        rules=build(Rules, stated["rules"], "rules"),
        vectors=vectors,
        rows=rows,
        prior=arrays["prior.npy"].astype(np.float32, copy=False),
        head={
            name.removeprefix("head-").removesuffix(".npy"): array
            for name, array in arrays.items()
            if name.startswith("head-")
        },
        encoder=encoder,
        codes=codes,
    )


def _json(data: object) -> bytes:
    return (json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
