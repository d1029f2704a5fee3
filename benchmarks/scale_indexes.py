"""The indexes that `scale_steps.py` measures: built into a folder, opened from it, searched for one query."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scale_peers import Flat, Hnsw

from triage.arrays import Floats, Ints

REPO, LABELS = "example/large", 40
# The issues of each repository, where nothing is shared.
OWN = 5_000


class Kind(Protocol):
    """An index opened from a folder."""

    def __init__(self, folder: Path) -> None: ...

    @staticmethod
    def libraries() -> None:
        """Import what opening needs."""
        ...

    @staticmethod
    def build(vectors: Floats, folder: Path) -> str:
        """Write the index of unit vectors [n, d] into the folder; says what it is."""
        ...

    def prepare(self, queries: Floats, truth: Ints) -> str:
        """Choose what is chosen by hand; says what."""
        ...

    def find(self, query: Floats) -> list[int]:
        """The rows nearest to a vector [d], nearest first."""
        ...

    @staticmethod
    def searched(rows: int) -> int:
        """How many of so many rows, the first ones, a query is compared with."""
        ...

    def mapped(self) -> int:
        """The bytes of mapped files that were read."""
        ...


class Triage:
    """A bundle in a local store, searched as labelling does, with the labels of what was found."""

    def __init__(self, folder: Path) -> None:
        from triage.bundle.local_store import LocalStore
        from triage.bundle.model import Neighbourhood

        store = LocalStore(folder)
        bundle = self._bundle = store.load(store.role("active") or "")
        vectors = bundle.vectors if bundle.codes is None else bundle.codes
        self._near = Neighbourhood(vectors, bundle.rows.keys, bundle.rows.labels, bundle.rules.shared)

    @staticmethod
    def libraries() -> None:
        import faiss  # noqa: F401  # what it costs to import is not what is measured

    @staticmethod
    def build(vectors: Floats, folder: Path) -> str:
        return _built(vectors, folder, len(vectors))

    @staticmethod
    def searched(rows: int) -> int:
        return rows

    def prepare(self, *_: Floats | Ints) -> str:
        return ""

    def find(self, query: Floats) -> list[int]:
        (found,) = self._near.near([(f"{REPO}-0", 0)], query[None, :])
        return [neighbour.number - 1 for neighbour in found]

    def mapped(self) -> int:
        codes, keys = self._bundle.codes, self._bundle.rows.keys
        if codes is None:
            return 0
        # What no user needs to know.
        lists: Any = self._near._index._read
        blocks = [sum(array.nbytes for array in block) for block in keys.table._read.values()]
        return int(np.diff(codes.bounds)[lists].sum()) * codes.codes.shape[1] + sum(blocks)


class Own(Triage):
    """The same, of repositories with OWN issues each, of which none says anything of another's."""

    @staticmethod
    def build(vectors: Floats, folder: Path) -> str:
        return _built(vectors, folder, OWN)

    @staticmethod
    def searched(rows: int) -> int:
        return min(rows, OWN)


def _built(vectors: Floats, folder: Path, each: int) -> str:
    """A bundle of repositories with so many issues each, whose labels are shared where it is but one."""
    from triage.bundle.bundle import Bundle, BundleManifest, Rows
    from triage.bundle.local_store import LocalStore
    from triage.decide.rules import Rules
    from triage.learn.retrain import indexed

    rng = np.random.default_rng(0)
    names = [f"label {i}" for i in range(LABELS)]
    picked = rng.integers(LABELS, size=(len(vectors), 2)).tolist()
    manifest = BundleManifest(
        created_at="2026-01-01T00:00:00Z",
        triage_version="0",
        encoder="scale",
        encoder_digest="0" * 64,
        adaptation="none",
        issues=len(vectors),
        sources=(REPO,),
        split={},
        figures={},
    )
    bundle = indexed(
        Bundle(
            manifest=manifest,
            rules=Rules() if each >= len(vectors) else Rules(shared=()),
            vectors=vectors,
            rows=Rows(
                [(f"{REPO}-{i // each}", i + 1) for i in range(len(vectors))],
                [tuple(sorted({names[a], names[b]})) for a, b in picked],
            ),
            prior=vectors[:10_000].mean(axis=0),
        )
    )
    store = LocalStore(folder)
    store.set_role("active", store.save(bundle))
    if bundle.codes is None or bundle.manifest.index is None:
        return "exact"
    lists = len(bundle.codes.centroids)
    if bundle.rules.shared == ():
        return f"{lists} lists, a repository each, recall {bundle.manifest.index.recall} when built"
    return f"{bundle.codes.probes} of {lists} lists, recall {bundle.manifest.index.recall} when built"


class Exact(Triage):
    """The same, whatever the rule says: compared one by one."""

    @staticmethod
    def build(vectors: Floats, folder: Path) -> str:
        return _whatever(1 << 40, vectors, folder)


class Lists(Triage):
    """The same, whatever the rule says: compressed."""

    @staticmethod
    def build(vectors: Floats, folder: Path) -> str:
        return _whatever(0, vectors, folder)


def _whatever(most: int, vectors: Floats, folder: Path) -> str:
    from triage.engine import ivf_build as compress

    compress.EXACT_ROWS, compress.EXACT_BYTES = most, max(most, 1 << 40)
    return Triage.build(vectors, folder)


def kinds() -> dict[str, type[Kind]]:
    """By the names of `scale.py`."""
    return {"triage": Triage, "own": Own, "exact": Exact, "lists": Lists, "flat": Flat, "hnsw": Hnsw}
