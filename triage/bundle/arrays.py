"""Arrays as `.npy` files: written, read, and seen in place, without pickle."""

from __future__ import annotations

import io
from mmap import mmap

import numpy as np
import numpy.typing as npt

from triage.errors import BundleError

Data = bytes | mmap
Array = npt.NDArray[np.generic]


def view(data: Data, where: str) -> Array:
    """The array in the data, without a copy. Raises BundleError where there is none."""
    try:
        head = io.BytesIO(data[:1024])
        version = np.lib.format.read_magic(head)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, in_columns, kind = read(head)
        if kind.hasobject or in_columns:
            raise ValueError("objects, or columns first")
        count = int(np.prod(shape, dtype=object))
        array = np.frombuffer(data, dtype=kind, offset=head.tell(), count=count)
        return array.reshape(shape)
    except (ValueError, EOFError, KeyError, OSError, TypeError, OverflowError) as error:
        raise BundleError(f"{where}: not an array ({error})") from None


def read(data: Data, where: str) -> Array:
    """A copy of the array in the data. Raises BundleError where there is none."""
    try:
        array: Array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError) as error:
        raise BundleError(f"{where}: not an array ({error})") from None
    return array


def npy(array: Array) -> bytes:
    """The file of an array."""
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()
