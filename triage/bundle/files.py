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
the order of the lists, and instead of vectors, rows, labels and offsets it holds `triage.engine.ivf_index.Codes` and
`triage.bundle.lazy_rows.Table`:

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
from dataclasses import replace
from itertools import pairwise
from mmap import mmap
from typing import Any

import numpy as np

from triage.arrays import AnyArray, Data, npy, read, view
from triage.bundle.bundle import FORMAT, FORMAT_COMPRESSED, Bundle, BundleManifest, Rows
from triage.bundle.ivf_files import MAPPED, codes_of, files_of, rows_of
from triage.bundle.lazy_rows import LazyKeys, LazyLabels, table
from triage.decide.rules import Rules
from triage.errors import BundleError
from triage.schema import SchemaError, build
from triage.text import TEXT_VERSION

MANIFEST = "manifest.json"
ENCODER = "encoder-"


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
