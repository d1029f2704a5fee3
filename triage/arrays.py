"""The types of arrays."""

from __future__ import annotations

from mmap import mmap

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
Array = npt.NDArray[np.float64]
AnyFloats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Ints32 = npt.NDArray[np.int32]
Indices = npt.NDArray[np.intp]
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
AnyArray = npt.NDArray[np.generic]
Data = bytes | mmap
