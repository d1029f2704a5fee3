"""What a user would pick instead of triage's index, as `scale_steps.py` measures it; see `scale_indexes.py`."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from triage.arrays import Floats, Ints

# hnswlib: neighbours of a node, and candidates when it is added.
M, CONSTRUCTION = 16, 100
K = 25


class Flat:
    """faiss's exact index, in its own file."""

    def __init__(self, folder: Path) -> None:
        import faiss

        self._index = faiss.read_index(str(folder / "flat.faiss"))

    @staticmethod
    def libraries() -> None:
        import faiss  # noqa: F401  # what it costs to import is not what is measured

    @staticmethod
    def build(vectors: Floats, folder: Path) -> str:
        import faiss

        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        faiss.write_index(index, str(folder / "flat.faiss"))
        return "exact"

    def prepare(self, *_: Floats | Ints) -> str:
        return ""

    def find(self, query: Floats) -> list[int]:
        rows: list[int] = self._index.search(query[None, :], K)[1][0].tolist()
        return rows

    @staticmethod
    def searched(rows: int) -> int:
        return rows

    def mapped(self) -> int:
        return 0


class Hnsw:
    """hnswlib's graph."""

    def __init__(self, folder: Path) -> None:
        import hnswlib

        (dimension,) = np.load(folder / "dimension.npy")
        self._index = hnswlib.Index(space="ip", dim=int(dimension))
        self._index.load_index(str(folder / "graph.bin"))
        self._index.set_num_threads(1)
        self._index.set_ef(100)

    @staticmethod
    def libraries() -> None:
        import hnswlib  # noqa: F401  # what it costs to import is not what is measured

    @staticmethod
    def build(vectors: Floats, folder: Path) -> str:
        import hnswlib

        index = hnswlib.Index(space="ip", dim=vectors.shape[1])
        index.init_index(max_elements=len(vectors), M=M, ef_construction=CONSTRUCTION)
        index.add_items(vectors, num_threads=len(os.sched_getaffinity(0)))
        index.save_index(str(folder / "graph.bin"))
        np.save(folder / "dimension.npy", [vectors.shape[1]])
        return ""

    def prepare(self, queries: Floats, truth: Ints) -> str:
        from triage.engine.ivf_build import TARGET

        for ef in (25, 50, 100, 200, 400, 800, 1600):
            self._index.set_ef(ef)
            found = self._index.knn_query(queries, k=truth.shape[1])[0]
            shares = [len({*a} & {*b}) / len(b) for a, b in zip(found.tolist(), truth.tolist(), strict=True)]
            if np.mean(shares) >= TARGET:
                break
        return f"ef {ef}"

    def find(self, query: Floats) -> list[int]:
        rows: list[int] = self._index.knn_query(query, k=K)[0][0].tolist()
        return rows

    @staticmethod
    def searched(rows: int) -> int:
        return rows

    def mapped(self) -> int:
        return 0
