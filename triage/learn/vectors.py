"""The embedding cache: vectors by the hash of the text, so that a weekly run embeds only what is new.

It lies beside the bundles, is of one encoder and text version, and is never downloaded for labelling.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from triage.engine.encoder import Encoder
from triage.issue import Issue
from triage.text import TEXT_VERSION

Floats = npt.NDArray[np.float32]

NAME = "embeddings"
# Texts embedded between two savings; at some 50 a second a killed run loses under a minute.
PIECE = 2_000


class Encode(Protocol):
    """Encodes as `Encoder.encode` does, wherever that may be; see there for `progress`."""

    def __call__(
        self, texts: Sequence[str], /, *, progress: Callable[[int], None] | None = None
    ) -> Iterable[Floats]: ...


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
    *,
    encode: Encode | None = None,
    piece: int = 0,
) -> Embedded:
    """Embed what `kept` (an earlier cache, or None) does not hold; `keep` gets the cache after every piece.

    `encode` (default: the encoder's own) gets at most `piece` texts at a time (default: PIECE). A cache of another
    encoder or text version, or a damaged one, counts as none.
    """
    stamp = f"{encoder.digest} {TEXT_VERSION}"
    known = _read(kept, stamp, encoder.dimension) if kept else {}
    missing = list({issue.digest: issue for issue in issues if issue.digest not in known}.values())
    listener = progress(len(missing)) if progress and missing else None
    step = piece or PIECE
    for start in range(0, len(missing), step):
        part = missing[start : start + step]

        def said(done: int, start: int = start) -> None:
            if listener:
                listener(start + done)

        found = (encode or encoder.encode)([issue.text for issue in part], progress=said)
        known |= {issue.digest: vector for issue, vector in zip(part, found, strict=True)}
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
