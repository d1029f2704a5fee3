"""The types of arrays, and arrays as `.npy` files without pickle."""

from __future__ import annotations

import io
from dataclasses import dataclass
from mmap import mmap

import numpy as np
import numpy.typing as npt

from triage.errors import BundleError

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

# Bytes that are read for the header of a file; those of bundles are shorter.
HEAD = 1024


@dataclass(frozen=True)
class Shape:
    """The header of an `.npy` file: an array of `shape` and dtype `kind` begins at the byte `start`."""

    start: int
    shape: tuple[int, ...]
    kind: np.dtype[np.generic]

    @property
    def bytes(self) -> int:
        """The size of the array."""
        return int(np.prod(self.shape, dtype=object)) * self.kind.itemsize


def shape_of(data: Data, where: str) -> Shape:
    """The header of a file that begins with `data`. Raises BundleError for anything but rows of plain numbers."""
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
    """The array in a file, read-only and without a copy. Raises BundleError."""
    head = shape_of(data, where)
    try:
        count = head.bytes // max(1, head.kind.itemsize)
        array: AnyArray = np.frombuffer(data, dtype=head.kind, offset=head.start, count=count)
        return array.reshape(head.shape)
    except (ValueError, TypeError, OverflowError) as error:
        raise BundleError(f"{where}: not an array ({error})") from None


def npy(array: AnyArray) -> bytes:
    """The array as a file."""
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()
