"""The part of a compressed index that issues of one repository are searched in, where nothing is shared.

Whoever labels one issue on an empty machine fetches that part and no more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from triage.arrays import Data, view
from triage.bundle.bundle import Bundle, Rows
from triage.bundle.lazy_rows import LazyKeys, LazyLabels, LazyRows
from triage.engine.ivf_index import IvfCodes
from triage.errors import BundleError

OWNERS, BOUNDS = "index-owners.npy", "index-bounds.npy"


@dataclass(frozen=True)
class RepositorySlice:
    """The lists, and the rows, of one repository: from the first up to, and excluding, the second."""

    lists: tuple[int, int]
    rows: tuple[int, int]


def span_of(repo: str, files: Mapping[str, Data], where: str) -> RepositorySlice | None:
    """Which part of an index is searched for issues of `repo`; None where it is the whole.

    `files` are those that are read whole, not checked yet. The first list stands for a repository that has none.
    Raises BundleError where they do not fit together.
    """
    if OWNERS not in files:
        return None
    try:
        said = json.loads(bytes(files["rules.json"]))
        if said["rules"].get("shared") != []:
            return None
        repos = said["repositories"]
        owners, bounds = (view(files[name], f"{where}: {name}").astype(np.int64) for name in (OWNERS, BOUNDS))
        own = np.flatnonzero(owners == repos.index(repo)) if repo in repos else np.array([0])
        first, stop = int(own[0]), int(own[-1]) + 1
        return RepositorySlice((first, stop), (int(bounds[first]), int(bounds[stop])))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise BundleError(f"{where}: its files do not fit together ({error})") from None


def cut(bundle: Bundle, span: RepositorySlice) -> Bundle:
    """The bundle as if it knew the issues of that span alone: to be searched, not to be saved."""
    codes, keys, labels = bundle.codes, bundle.rows.keys, bundle.rows.labels
    if codes is None or not isinstance(keys, LazyKeys) or not isinstance(labels, LazyLabels):
        return bundle
    (first, stop), (start, end), known = span.lists, span.rows, keys.table
    bounds = codes.bounds[first : stop + 1] - start
    own = IvfCodes(
        centroids=codes.centroids[first:stop],
        ranges=codes.ranges,
        codes=codes.codes[start:end],
        bounds=bounds,
        hashes=codes.hashes[first:stop],
        owners=codes.owners[first:stop],
        probes=min(codes.probes, stop - first),
    )
    # Offsets are into all labels still, so that hashes of blocks stay what they were.
    table = LazyRows(
        known.rows[start:end], known.labels, known.offsets[start : end + 1], bounds, known.hashes[first:stop]
    )
    return replace(
        bundle,
        manifest=replace(bundle.manifest, issues=end - start),
        rows=Rows(LazyKeys(keys.repos, table), LazyLabels(labels.names, table)),
        codes=own,
    )
