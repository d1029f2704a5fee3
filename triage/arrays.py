"""Arrays as `.npy` files: written, read, and seen in place, without pickle."""

from __future__ import annotations

import io
from dataclasses import dataclass
from mmap import mmap

import numpy as np
import numpy.typing as npt

from triage.errors import BundleError

# No head of ours is longer.
HEAD = 1024
Data = bytes | mmap

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


@dataclass(frozen=True)
class Shape:
    """What the head of a file tells: its array begins at the byte `start` and has `shape` numbers of a `kind`."""

    start: int
    shape: tuple[int, ...]
    kind: np.dtype[np.generic]

    @property
    def bytes(self) -> int:
        """How long the array is."""
        return int(np.prod(self.shape, dtype=object)) * self.kind.itemsize


def shape_of(data: Data, where: str) -> Shape:
    """The shape of the array whose file begins so. Raises BundleError where it is none."""
    try:
        head = io.BytesIO(data[:HEAD])
        version = np.lib.format.read_magic(head)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, in_columns, kind = read(head)
        if kind.hasobject or in_columns:
            raise ValueError("objects, or columns first")
        return Shape(head.tell(), shape, kind)
    except (ValueError, EOFError, KeyError, OSError, TypeError) as error:
        raise BundleError(f"{where}: not an array ({error})") from None


def view(data: Data, where: str) -> AnyArray:
    """The array in the data, without a copy. Raises BundleError where there is none."""
    told = shape_of(data, where)
    try:
        count = told.bytes // max(1, told.kind.itemsize)
        array: AnyArray = np.frombuffer(data, dtype=told.kind, offset=told.start, count=count)
        return array.reshape(told.shape)
    except (ValueError, TypeError, OverflowError) as error:
        raise BundleError(f"{where}: not an array ({error})") from None


def read(data: Data, where: str) -> AnyArray:
    """A copy of the array in the data. Raises BundleError where there is none."""
    try:
        array: AnyArray = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError) as error:
        raise BundleError(f"{where}: not an array ({error})") from None
    return array


def npy(array: AnyArray) -> bytes:
    """The file of an array."""
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()
