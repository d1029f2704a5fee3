"""Which texts meet in a batch: drawn anew each epoch, of like length, from one group.

Of like length, so that little of a batch is padding and length is no shortcut to telling issues apart; from
one group (a repository), so that the repository is none either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Texts whose lengths differ by less than this factor, either way, are put into random order.
LIKE_LENGTH = 1.5

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Batches:
    """The batches of every epoch, a function of the seed alone.

    `lengths` [n] are in tokens, `groups` [n] number the group of each text; a batch holds at most `size`
    texts, all of one group.
    """

    lengths: Sequence[int]
    groups: Sequence[int]
    size: int
    seed: int

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return sum(-(-int(count) // self.size) for count in np.bincount(self.groups))

    def epoch(self, number: int) -> list[Rows]:
        """The rows of each batch of this epoch, in the order of training; each row is in one of them."""
        rng = np.random.default_rng([self.seed, number])
        spread = np.log(LIKE_LENGTH)
        keys = np.log(np.maximum(self.lengths, 1)) + rng.uniform(-spread, spread, size=len(self.lengths))
        groups, found = np.asarray(self.groups), []
        for group in np.unique(groups):
            rows = np.flatnonzero(groups == group)
            ordered = rows[np.argsort(keys[rows], kind="stable")]
            found += np.array_split(ordered, -(-len(rows) // self.size))
        return [found[i] for i in rng.permutation(len(found))]
