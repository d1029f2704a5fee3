"""The embedding cache: vectors by the hash of the text, so that a weekly run embeds only what is new.

It lies beside the bundles, is of one encoder and text version, and is never downloaded for labelling.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage.engine.encoder import Encoder
from triage.issue import Issue
from triage.text import TEXT_VERSION

Floats = npt.NDArray[np.float32]

NAME = "embeddings"
# Texts embedded between two savings; at some 50 a second a killed run loses under a minute.
PIECE = 2_000


@dataclass(frozen=True)
class Embedded:
    """Vectors [n, d] in the order of the issues, and how many of them had to be computed."""

    vectors: Floats
    computed: int


def embed(
    issues: Sequence[Issue],
    encoder: Encoder,
    kept: bytes | None,
    keep: Callable[[bytes], None],
    progress: Callable[[int], Callable[[int], None]] | None = None,
) -> Embedded:
    """Embed what `kept` (an earlier cache, or None) does not hold; `keep` gets the cache after every piece.

    A cache of another encoder or text version, or a damaged one, counts as none.
    """
    stamp = f"{encoder.digest} {TEXT_VERSION}"
    known = _read(kept, stamp, encoder.dimension) if kept else {}
    missing = list({issue.digest: issue for issue in issues if issue.digest not in known}.values())
    listener = progress(len(missing)) if progress and missing else None
    for start in range(0, len(missing), PIECE):
        piece = missing[start : start + PIECE]

        def said(done: int, start: int = start) -> None:
            if listener:
                listener(start + done)

        vectors = encoder.encode([issue.text for issue in piece], progress=said)
        known |= {issue.digest: vector for issue, vector in zip(piece, vectors, strict=True)}
        present = {issue.digest for issue in issues}
        keep(_write({digest: v for digest, v in known.items() if digest in present}, stamp))
    vectors = np.array([known[issue.digest] for issue in issues], dtype=np.float32)
    return Embedded(vectors.reshape(len(issues), encoder.dimension), len(missing))


def _write(vectors: dict[str, Floats], stamp: str) -> bytes:
    out = io.BytesIO()
    digests = np.frombuffer(bytes.fromhex("".join(vectors)), dtype=np.uint8).reshape(-1, 32)
    np.savez(out, stamp=np.array(stamp), digests=digests, vectors=np.array(list(vectors.values())))
    return out.getvalue()


def _read(data: bytes, stamp: str, dimension: int) -> dict[str, Floats]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            if str(held["stamp"]) != stamp:
                return {}
            digests, vectors = held["digests"], held["vectors"]
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile):
        return {}
    if (
        digests.shape != (len(vectors), 32)
        or vectors.shape[1:] != (dimension,)
        or not np.isfinite(vectors).all()
    ):
        return {}
    return {bytes(digest).hex(): vector for digest, vector in zip(digests, vectors, strict=True)}
