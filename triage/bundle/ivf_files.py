"""The files of a compressed index and of what is known of its issues; see `triage.bundle.files`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from triage.arrays import AnyArray, npy
from triage.bundle.lazy_rows import LazyKeys, LazyLabels, LazyRows
from triage.engine.ivf_build import refuse_below_floor
from triage.engine.ivf_index import IvfCodes
from triage.errors import BundleError

# Not read when a bundle is loaded: each list and block is checked against its own hash when it is read.
MAPPED = ("index-codes.npy", "index-rows.npy", "index-labels.npy", "index-offsets.npy")
CODES, ROWS, LABELS, OFFSETS = MAPPED
CENTROIDS = "index-centroids.npy"


def files_of(codes: IvfCodes, known: LazyRows) -> dict[str, bytes]:
    """The index as files."""
    arrays: dict[str, AnyArray] = {
        "codes": codes.codes,
        "rows": known.rows,
        "labels": known.labels,
        "offsets": known.offsets,
        "centroids": codes.centroids,
        "ranges": codes.ranges,
        "bounds": codes.bounds,
        "hashes": codes.hashes,
        "owners": codes.owners,
        "blocks": known.hashes,
    }
    return {f"index-{name}.npy": npy(array) for name, array in arrays.items()}


def codes_of(probes: int, recall: float, arrays: Mapping[str, AnyArray]) -> IvfCodes:
    """The index in these arrays. Raises BundleError where it finds too little or its parts do not fit."""
    refuse_below_floor(recall)
    return IvfCodes(
        centroids=_given(arrays, "centroids", np.float32),
        ranges=_given(arrays, "ranges", np.float32),
        codes=_given(arrays, "codes", np.uint8),
        bounds=_given(arrays, "bounds", np.int64),
        hashes=_given(arrays, "hashes", np.uint8),
        owners=_given(arrays, "owners", np.int64),
        probes=probes,
    )


def rows_of(
    repos: Sequence[str], names: Sequence[str], codes: IvfCodes, arrays: Mapping[str, AnyArray]
) -> tuple[LazyKeys, LazyLabels]:
    """The keys and labels in these arrays. Raises BundleError where they do not fit the index."""
    known = LazyRows(
        rows=_given(arrays, "rows", np.int64),
        labels=_given(arrays, "labels", np.int32),
        offsets=_given(arrays, "offsets", np.int64),
        bounds=codes.bounds,
        hashes=_given(arrays, "blocks", np.uint8),
    )
    return LazyKeys(repos, known), LazyLabels(names, known)


def _given(arrays: Mapping[str, AnyArray], name: str, kind: type[np.generic]) -> Any:
    """The array, which must be of that kind: another would have to be read whole to be made so."""
    array = arrays[f"index-{name}.npy"]
    if array.dtype != kind:
        raise BundleError(f"index-{name}.npy holds {array.dtype} where {np.dtype(kind)} is needed")
    return array
