"""The types of arrays, and arrays as `.npy` files without pickle."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Mapping
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
# What numpy writes in front of one or two dimensions of plain numbers; nothing else is read.
MAGIC = b"\x93NUMPY\x01\x00"
HEADER = re.compile(
    rb"\{'descr': '(<f[248]|<i[48]|\|u1)', 'fortran_order': False, "
    rb"'shape': \((\d{1,15}),(?: (\d{1,15}))?\), \} *\n"
)


@dataclass(frozen=True)
class Shape:
    """The header of an `.npy` file: an array of `shape` and dtype `kind` begins at the byte `start`."""

    start: int
    shape: tuple[int, ...]
    kind: np.dtype[np.generic]

    @property
    def bytes(self) -> int:
        """The size of the array."""
        return math.prod(self.shape) * self.kind.itemsize


def shape_of(data: Data, where: str) -> Shape:
    """The header of a file that begins with `data`. Raises BundleError for anything but rows of plain numbers."""
    head = bytes(data[:HEAD])
    start = len(MAGIC) + 2 + int.from_bytes(head[len(MAGIC) : len(MAGIC) + 2], "little")
    match = HEADER.fullmatch(head, len(MAGIC) + 2, start) if start <= len(head) else None
    if not head.startswith(MAGIC) or match is None:
        raise BundleError(f"{where}: not an array (its header is not that of rows of plain numbers)")
    shape = tuple(int(size) for size in match.groups()[1:] if size is not None)
    if 0 in shape[1:]:
        raise BundleError(f"{where}: not an array (of {shape[0]} rows without numbers)")
    return Shape(start, shape, np.dtype(match[1].decode()))


def view(data: Data, where: str) -> AnyArray:
    """The array in a file, read-only and without a copy. Raises BundleError, also where its length is another."""
    head = shape_of(data, where)
    if head.start + head.bytes != len(data):
        found = len(data) - head.start
        raise BundleError(
            f"{where}: not an array (its shape {head.shape} needs {head.bytes} bytes, it has {found})"
        )
    array: AnyArray = np.frombuffer(data, dtype=head.kind, offset=head.start)
    return array.reshape(head.shape)


def views(files: Mapping[str, Data], names: Iterable[str], where: str) -> dict[str, AnyArray]:
    """The arrays among these files, by name; see `view`."""
    return {name: view(files[name], f"{where}: {name}") for name in names if name.endswith(".npy")}


def npy(array: AnyArray) -> bytes:
    """The array as a file."""
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()
