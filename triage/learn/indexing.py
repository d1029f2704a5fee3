"""The index of a learnt bundle: as its size asks for, and where it can be, the last one brought up to date."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from triage.bundle.bundle import FORMAT_COMPRESSED, Bundle, Compression, Rows
from triage.bundle.packed import PackedKeys
from triage.engine.compress import compress, exact, updated
from triage.engine.index import Ints
from triage.engine.recall import Built


def indexed(bundle: Bundle, active: Bundle | None = None) -> Bundle:
    """The bundle as it is while its vectors are few, else with codes in their place.

    Only points that the encoder alone made are comparable with those in the index of the `active` bundle. Raises
    BundleError where the compressed index would find too little.
    """
    if exact(*bundle.vectors.shape):
        return bundle
    brought = _brought_up_to_date(bundle, active) if active else None
    built, changed = brought or (compress(bundle.vectors, _owners(bundle)), 0)
    rows = active.manifest.index.rows if brought and active and active.manifest.index else len(built.codes)
    return replace(
        bundle,
        manifest=replace(
            bundle.manifest,
            format=FORMAT_COMPRESSED,
            index=Compression(built.codes.probes, built.recall, built.queries, rows, changed),
        ),
        vectors=np.empty((0, 0), dtype=np.float32),
        rows=Rows(
            [bundle.rows.keys[i] for i in built.order.tolist()],
            [bundle.rows.labels[i] for i in built.order.tolist()],
        ),
        codes=built.codes,
    )


def _owners(bundle: Bundle) -> Ints | None:
    """The number of each row's repository, where neighbours are searched in the own one alone; numbers go by name, so
    that they are those of the repositories in the order of the lists.
    """
    if bundle.rules.shared != ():
        return None
    repos = [repo for repo, _ in bundle.rows.keys]
    return np.unique(repos, return_inverse=True)[1].astype(np.int64)


def _brought_up_to_date(bundle: Bundle, active: Bundle) -> tuple[Built, int] | None:
    codes, made, keys = active.codes, active.manifest.index, active.rows.keys
    same = active.manifest.encoder_digest == bundle.manifest.encoder_digest
    if codes is None or made is None or not same or bundle.head or active.head:
        return None
    if not isinstance(keys, PackedKeys) or codes.centroids.shape[1] != bundle.vectors.shape[1]:
        return None
    owners = _owners(bundle)
    if (active.rules.shared == ()) != (bundle.rules.shared == ()):
        return None
    if owners is not None and list(keys.repos) != sorted({repo for repo, _ in bundle.rows.keys}):
        return None
    codes.verify()
    there = np.array([-1 if row is None else row for row in keys.find(bundle.rows.keys)], dtype=np.int64)
    return updated(codes, there, bundle.vectors, made.rows, made.changed, owners)
