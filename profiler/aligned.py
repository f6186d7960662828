"""Arrays whose memory begins at a multiple of 64 bytes, as engines' own allocators give it.

NumPy aligns to 16 bytes, by chance better. A product of [8, 192] and [192, 192] took 6 to 8 %
longer in processes where its second operand happened to lie at another multiple of 16: one launch
of a lane differed from the next by its inputs' addresses (`docs/measurement.md`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

ALIGNMENT = 64


def aligned(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array itself where it lies well, else a contiguous copy that does."""
    if array.dtype.hasobject or array.size == 0 or array.ctypes.data % ALIGNMENT == 0:
        return array
    content = aligned_bytes(array.nbytes)
    copy: np.ndarray[Any, Any] = content.view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def aligned_bytes(size: int) -> np.ndarray[Any, Any]:
    """Memory of so many bytes that lies well; with any values."""
    memory = np.empty(size + ALIGNMENT, dtype=np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]
