"""A bundle, the result of learning: a folder of hashed JSON and `.npy` files, without issue text.

    manifest.json   versions, settings, figures, and the sha256 of every other file
    rules.json      how labels are elected (triage.decide.rules); names of repositories and labels, and GitHub's ids
    vectors.npy     float32 [n, p], unit length; the flat index is built from them when loaded
    rows.npy        int64 [n, 2]: index into the repositories, issue number
    labels.npy      int32: the label indices of row i are labels[offsets[i]:offsets[i + 1]]
    offsets.npy     int64 [n + 1]
    prior.npy       float32 [d], the mean of the encoder's vectors (corrects zero-shot scores)
    propensity.npy  float32 [d + 2], how likely people are to label an issue, where some are left without a label
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
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from mmap import mmap
from typing import Any

import numpy as np

from triage.arrays import AnyArray, Data, Floats
from triage.bundle.ivf_files import (
    MAPPED,
    LazyKeys,
    LazyLabels,
    LazyRows,
    RepositorySlice,
    index_files,
    index_from,
)
from triage.decide.rules import LabelRule, OperatingPoint, Rules
from triage.engine.head import Head, Propensity
from triage.engine.index import IvfCodes
from triage.engine.model_folder import MANIFEST_FILE, SHA256, ModelManifest, mapping_of
from triage.errors import BundleError, ModelError, made_by
from triage.files import npy, views
from triage.issue import MAX_NUMBER, Key, RepositoryIds, fold, present_names
from triage.schema import SchemaError, build, decoded, parse_time
from triage.text import TEXT_VERSION

FORMAT = 3
FORMAT_COMPRESSED = 4
MANIFEST, RULES = "manifest.json", "rules.json"
ENCODER = "encoder-"
PROPENSITY = "propensity.npy"
# Of all files of a bundle together, and of the two that are read as JSON.
MAX_BYTES, MAX_JSON = 2 * 2**30, 64 * 2**20
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
# A clock may be fast, but a later bundle is dated later still, and names sort by dates: the years must not run out.
CREATED_AT = re.compile(r"[12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
# No count, similarity or parameter of the rules is near this.
MAX_PARAMETER = 1e9
RELEARN = "run `triage retrain`, or the workflow `triage-retrain`, with this version"
# Unit vectors, in float32.
ALMOST = 1e-3


@dataclass(frozen=True)
class Compression:
    """The compressed index: how it was made and how well it searches.

    `recall` of the 25 nearest against exact search, of `queries` held-out rows. The lists were drawn from `rows` rows,
    of which `changed` have come or gone since. A search reads `probes` lists.
    """

    probes: int = field(metadata={"low": 1})
    recall: float = field(metadata={"low": 0.0, "high": 1.0})
    queries: int = field(metadata={"low": 0})
    rows: int = field(metadata={"low": 0})
    changed: int = field(default=0, metadata={"low": 0})


@dataclass(frozen=True)
class BundleManifest:
    """The origin of a bundle and the hashes of its files.

    `figures` were measured on the newest window, which nothing was tuned on. The gate compares `recipe`. `bots` are
    logins under which the bot has labelled. `after` is the bundle that was active when this one was learnt, `refused`
    are the objections of the gate. `labels` counts the labels learnt (0: not recorded), `target` is the precision
    target that was then in force, and `point` what it gives.
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
    refused: tuple[str, ...] = ()
    labels: int = 0
    target: float | None = None
    point: OperatingPoint | None = None
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
    `codes`, the compressed index, `vectors` is empty. `ids` are those of repositories and labels when they were read
    from GitHub. Raises BundleError where the parts do not match.
    """

    manifest: BundleManifest
    rules: Rules
    vectors: Floats
    rows: Rows
    prior: Floats
    head: Mapping[str, AnyArray] = field(default_factory=dict)
    encoder: Mapping[str, bytes] = field(default_factory=dict)
    codes: IvfCodes | None = None
    ids: tuple[RepositoryIds, ...] = ()
    propensity: Propensity | None = None

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


def under_present_names(bundle: Bundle, now: RepositoryIds | None) -> tuple[Bundle, dict[str, str]]:
    """The bundle to label issues of the repository that is `now` so called, and the new names of renamed labels.

    Spellings of one label are one; the result is to be searched, not to be saved.
    """
    keys, rules = bundle.rows.keys, bundle.rules
    repos = keys.repos if isinstance(keys, LazyKeys) else list(dict.fromkeys(repo for repo, _ in keys))
    recorded = now.known_as(bundle.ids, repos) if now else None
    before = next((ids.labels for ids in bundle.ids if ids.name == recorded), {})
    often = sorted(rules.labels, key=lambda rule: -rule.examples)
    names = present_names([*(rule.name for rule in often), *before], before, now.labels if now else {})
    renamed = {old: new for old, new in names.items() if new and old != new and fold(old) != fold(new)}
    repo_names = {repo: repo for repo in repos}
    if now:
        # A repository that had the name before is another one.
        repo_names |= {ids.name: ids.id for ids in bundle.ids if fold(ids.name) == fold(now.name)}
        repo_names |= {recorded: now.name} if recorded else {}
    if all(old == new for old, new in (names | repo_names).items()):
        return bundle, renamed
    merged: dict[str, LabelRule] = {}
    for rule in often:
        new = names[rule.name]
        first = merged.get(new, replace(rule, name=new, examples=0, prior=0.0, recent=0.0))
        merged[new] = replace(
            first,
            examples=first.examples + rule.examples,
            prior=min(1.0, first.prior + rule.prior),
            recent=min(1.0, first.recent + rule.recent),
        )
    merged.pop("", None)
    return replace(
        bundle,
        rules=replace(
            rules,
            labels=tuple(sorted(merged.values(), key=lambda rule: fold(rule.name))),
            scored=tuple(names.get(name, name) for name in rules.scored),
        ),
        rows=_renamed(bundle.rows, repo_names, names),
    ), renamed


def _renamed(rows: Rows, repos: Mapping[str, str], names: Mapping[str, str]) -> Rows:
    keys, labels = rows.keys, rows.labels
    if isinstance(keys, LazyKeys) and isinstance(labels, LazyLabels):
        renamed = [names.get(name, name) for name in labels.names]
        return Rows(
            LazyKeys([repos[repo] for repo in keys.repos], keys.table), LazyLabels(renamed, labels.table)
        )
    return Rows(
        keys=[(repos[repo], number) for repo, number in keys],
        labels=[
            tuple(dict.fromkeys(new for name in each if (new := names.get(name, name)))) for each in labels
        ],
    )


def to_files(bundle: Bundle) -> dict[str, bytes]:
    """The bundle as named files, with the manifest that holds their hashes."""
    repos, names, indexed = _indexed(bundle)
    rules = dataclasses.asdict(bundle.rules)
    if bundle.rules.shared == Rules.shared:
        del rules["shared"]
    stated: dict[str, object] = {"rules": rules, "repositories": repos, "labels": names}
    if bundle.ids:
        stated["ids"] = list(map(dataclasses.asdict, bundle.ids))
    files = {
        RULES: _json(stated),
        **indexed,
        "prior.npy": npy(bundle.prior.astype(np.float32)),
        **({PROPENSITY: npy(bundle.propensity.parameters)} if bundle.propensity else {}),
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


def from_files(files: Mapping[str, Data], *, where: str, manifest: BundleManifest | None = None) -> Bundle:
    """The bundle in `files`, after a check of every hash, shape and number. Raises BundleError that names the file.

    `manifest` is that of the files where it has been read already.
    The mapped files of a compressed index are not read here: each part is checked when it is read.
    """
    manifest = manifest or read_manifest(bytes(files.get(MANIFEST, b"")), where=where)
    for name, expected in manifest.files.items():
        if name not in files:
            raise BundleError(f"{where}: {name} is missing")
        if name in MAPPED and isinstance(files[name], mmap):
            continue
        actual = hashlib.sha256(files[name]).hexdigest()
        if actual != expected:
            raise BundleError(f"{where}: {name} was changed: expected sha256 {expected}, found {actual}")
    names = manifest.files
    arrays = views(files, names, where)
    encoder = {name.removeprefix(ENCODER): bytes(files[name]) for name in names if name.startswith(ENCODER)}
    try:
        stated = _stated(bytes(files[RULES]) if RULES in names else b"")
        return _assemble(manifest, stated, arrays, encoder)
    except SchemaError as error:
        raise BundleError(f"{where}: {error}") from None
    except ModelError as error:
        raise BundleError(f"{where}: its own encoder cannot be used ({error.what})") from None
    except KeyError as error:
        raise BundleError(f"{where}: its files do not match ({error} is missing)") from None
    except BundleError as error:
        raise BundleError(f"{where}: {error.what}") from None


def read_manifest(data: bytes, *, where: str) -> BundleManifest:
    """The manifest alone. Raises BundleError, also for another format or text version."""
    try:
        stated = decoded(data) if len(data) <= MAX_JSON else None
        _refuse_other_versions(stated, where)
        manifest = build(BundleManifest, stated)
        _check_manifest(manifest)
    except SchemaError as error:
        raise BundleError(f"{where}: {MANIFEST} cannot be read ({error})") from None
    return manifest


def _refuse_other_versions(stated: object, where: str) -> None:
    """Before anything else, since other versions have other keys."""
    given = stated if isinstance(stated, dict) else {}
    for what, name, readable in (
        ("format", "format", (FORMAT, FORMAT_COMPRESSED)),
        ("text version", "text_version", (TEXT_VERSION,)),
    ):
        version = given.get(name, readable[0])
        if isinstance(version, int) and version not in readable:
            known = " and ".join(map(str, readable))
            raise BundleError(
                f"{where}: its {what} is {version!r:.40}, and this version of triage reads {known}",
                likely=made_by(given.get("triage_version")),
                next_step=RELEARN,
            )


def _check_manifest(manifest: BundleManifest) -> None:
    """Raise SchemaError for a date or a list of files that cannot be."""
    at = manifest.created_at
    try:
        parse_time(at if CREATED_AT.fullmatch(at) else "")
    except ValueError:
        expected = "a date such as 2026-01-31T12:00:00Z, before the year 3000"
        raise SchemaError(f"in 'created_at': expected {expected}, found {at!r:.60}") from None
    for name, sha in manifest.files.items():
        if not FILE_NAME.fullmatch(name) or name == MANIFEST or not SHA256.fullmatch(sha):
            raise SchemaError(
                f"in 'files': expected names of files and their sha256, found {name!r:.60}: {sha!r:.70}"
            )


@dataclass(frozen=True)
class Stated:
    """The file `rules.json`: the rules, and the names that rows refer to by their index."""

    rules: Rules
    repositories: tuple[str, ...]
    labels: tuple[str, ...]
    ids: tuple[RepositoryIds, ...] = ()


def _stated(data: bytes) -> Stated:
    """Raises SchemaError."""
    if len(data) > MAX_JSON:
        raise SchemaError(f"{RULES} is longer than {MAX_JSON:,} bytes")
    try:
        raw = decoded(data)
        stated = build(Stated, raw)
    except SchemaError as error:
        raise SchemaError(f"{RULES}: {error}") from None
    if wrong := next((number for number in _numbers(raw) if abs(number) > MAX_PARAMETER), None):
        raise SchemaError(f"{RULES}: {wrong!r:.60} is out of range")
    rules = stated.rules
    names = {rule.name for rule in rules.labels}
    if len(names) != len(rules.labels) or not all(0 <= rule.prior <= 1 for rule in rules.labels):
        raise SchemaError(f"{RULES}: a label is there twice, or its prior is no share")
    return stated


def _numbers(value: object) -> Iterator[float]:
    """The numbers in decoded JSON."""
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)


def _assemble(
    manifest: BundleManifest, stated: Stated, arrays: Mapping[str, AnyArray], encoder: Mapping[str, bytes]
) -> Bundle:
    """Raises BundleError, KeyError for a file that is missing, SchemaError and ModelError."""
    vectors, codes = np.empty((0, 0), np.float32), None
    if manifest.format != FORMAT_COMPRESSED:
        vectors = _array(arrays, "vectors.npy", np.float32, 2)
        # Squares that overflow are infinite; einsum makes no array of the size of all vectors.
        if not (np.abs(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)) - 1) < ALMOST).all():
            raise BundleError("vectors.npy holds vectors that are not of unit length")
        rows, dimension = _rows(stated, arrays), vectors.shape[1]
    elif manifest.index is None:
        raise BundleError("the manifest does not describe the compressed index")
    else:
        codes, table = index_from(arrays, manifest.index.probes, manifest.index.recall)
        if not ((codes.owners >= -1) & (codes.owners < len(stated.repositories))).all():
            raise BundleError("a list of the index is of no known repository")
        rows = Rows(LazyKeys(stated.repositories, table), LazyLabels(stated.labels, table))
        dimension = codes.centroids.shape[1]
    head = {
        name.removeprefix("head-").removesuffix(".npy"): array
        for name, array in arrays.items()
        if name.startswith("head-")
    }
    prior = _array(arrays, "prior.npy", np.float32, 1)
    _check_dimensions(manifest, prior, head, encoder, dimension)
    if len(stated.rules.scored) != (len(head["intercept"]) if head else 0):
        raise BundleError(f"{RULES} names other labels than the head scores")
    propensity = None
    if PROPENSITY in arrays:
        propensity = Propensity(_array(arrays, PROPENSITY, np.float32, 1))
        if len(propensity.parameters) != len(prior) + 2:
            raise BundleError(f"{PROPENSITY} is not of the dimension of the encoder's vectors")
    return Bundle(manifest, stated.rules, vectors, rows, prior, head, encoder, codes, stated.ids, propensity)


def _array(arrays: Mapping[str, AnyArray], name: str, kind: type[np.generic], dimensions: int) -> Any:
    """Raises KeyError where the array is missing, BundleError where it is of another kind or not finite."""
    array = arrays[name]
    if array.dtype != kind or array.ndim != dimensions:
        raise BundleError(
            f"{name} holds {array.dtype} of shape {array.shape} where {np.dtype(kind)} is needed"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BundleError(f"{name} holds a number that is not finite")
    return array


def _rows(stated: Stated, arrays: Mapping[str, AnyArray]) -> Rows:
    """Raises KeyError and BundleError."""
    keys = _array(arrays, "rows.npy", np.int64, 2)
    labels = _array(arrays, "labels.npy", np.int32, 1)
    offsets = _array(arrays, "offsets.npy", np.int64, 1)
    if keys.shape[1] != 2 or len(offsets) != len(keys) + 1:
        raise BundleError(f"rows.npy and offsets.npy do not match: {len(keys)} and {len(offsets)}")
    if offsets[0] != 0 or offsets[-1] != len(labels) or (np.diff(offsets) < 0).any():
        raise BundleError("offsets.npy does not divide labels.npy")
    for name, found, least, most in (
        ("labels.npy", labels, 0, len(stated.labels) - 1),
        ("rows.npy", keys[:, 0], 0, len(stated.repositories) - 1),
        ("rows.npy", keys[:, 1], 1, MAX_NUMBER),
    ):
        if len(found) and not least <= found.min() <= found.max() <= most:
            raise BundleError(f"{name} holds a number that is not from {least} to {most}")
    flat = [stated.labels[i] for i in labels.tolist()]
    return Rows(
        keys=[(stated.repositories[r], n) for r, n in keys.tolist()],
        labels=[tuple(flat[a:b]) for a, b in pairwise(offsets.tolist())],
    )


def _check_dimensions(
    manifest: BundleManifest,
    prior: Floats,
    head: Mapping[str, AnyArray],
    encoder: Mapping[str, bytes],
    dimension: int,
) -> None:
    """Raise BundleError where vectors of `dimension` numbers do not go with head, prior and encoder, ModelError."""
    of_encoder = dimension
    if head:
        projection = Head.from_parts(head, manifest.head)
        of_encoder = len(projection.dense)
        if of_encoder + len(projection.intercept) != dimension:
            raise BundleError("the vectors are not of the dimension that the head gives")
    if prior.shape != (of_encoder,) or (np.abs(prior) > 1 + ALMOST).any():
        raise BundleError("prior.npy is not the mean of the encoder's vectors")
    if not encoder:
        return
    own = ModelManifest.from_dict(mapping_of(encoder.get(MANIFEST_FILE, b""), MANIFEST_FILE))
    if own.kind != "encoder" or own.dimension != of_encoder:
        raise ModelError(f"{own.kind} of {own.dimension} numbers")
    for name, expected in own.files.items():
        if hashlib.sha256(encoder.get(name, b"")).hexdigest() != expected:
            raise ModelError(f"{name} was changed")


def _json(data: object) -> bytes:
    return (json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
