"""The k/m vote: a label is elected when at least m of the k nearest neighbours carry it.

Source: *NLP with Transformers*, chapter 9, where every vote counts the same. With similarity weighting a
neighbour's vote is exp((s - s_1) / T) of the nearest one's, s being its cosine, and the k votes are scaled to
sum to k, so that m means the same in both.
"""

from __future__ import annotations

import numpy as np

from triage.arrays import AnyFloats, Array, Mask

# The depth of every search; tuning and serving slice the same list.
K_MAX = 50
# The width of the similarity kernel; between 0.05 and 0.2 the choice moves micro-F1 by under a point.
TEMPERATURE = 0.1
WEIGHTINGS = ("uniform", "similarity")


def kernel(similarities: AnyFloats, weighting: str) -> Array:
    """The weight of each neighbour, [..., K], from similarities in falling order (-inf: no neighbour)."""
    s = np.asarray(similarities, dtype=np.float64)
    present = np.isfinite(s)
    if weighting == "uniform":
        return present.astype(np.float64)
    nearest = np.where(present[..., :1], s[..., :1], 0.0)
    weights: Array = np.where(present, np.exp((np.where(present, s, 0.0) - nearest) / TEMPERATURE), 0.0)
    return weights


def tally(weights: Array, carries: Mask, k: int) -> Array:
    """The votes of each label among the k nearest, [..., L] in 0..k.

    `weights` is [..., K] as `kernel` gives them, `carries` [..., K, L] says which neighbour carries which
    label. The votes of fewer than k neighbours sum to their number.
    """
    w, c = weights[..., :k], carries[..., :k, :]
    total = w.sum(axis=-1, keepdims=True)
    present = (w > 0).sum(axis=-1, keepdims=True)
    scale = np.divide(present, total, out=np.zeros_like(total), where=total > 0)
    # A sum over the neighbours in their order, so that one issue and thousands give the same bits.
    votes: Array = np.zeros(c.shape[:-2] + c.shape[-1:])
    for i in range(w.shape[-1]):
        votes += (w[..., i] * scale[..., 0])[..., None] * c[..., i, :]
    return votes
