"""How the encoder's vectors are adapted to a repository's labels before neighbours are searched.

none   as they are
head   a projection learnt from the labels, in seconds and without torch (triage.learn.head)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from triage.bundle.model import Projection

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Adapt = Callable[[Sequence[str], Floats, Mask], tuple[Projection | None, Floats]]

CHOICES = ("none", "head", "auto")


def none(_texts: Sequence[str], vectors: Floats, _targets: Mask) -> tuple[None, Floats]:
    """No projection; the vectors are indexed as they are."""
    return None, vectors


def head(texts: Sequence[str], vectors: Floats, targets: Mask) -> tuple[Projection, Floats]:
    """The head, and the points [n, p] of the issues themselves, scored without their own labels."""
    from triage.learn.head import fit

    return fit(texts, vectors, targets)


ADAPTATIONS: Mapping[str, Adapt] = {"none": none, "head": head}
