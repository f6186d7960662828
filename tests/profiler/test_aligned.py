"""Where arrays lie in memory."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from profiler.aligned import ALIGNMENT, aligned
from profiler.inputs import make_arrays
from profiler.types import InputSpec


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "float16", ml_dtypes.bfloat16, "U3"])
@pytest.mark.parametrize("shape", [(), (3, 5), (1000,)])
def test_values_stay_and_lie_at_a_multiple_of_64(dtype: str, shape: tuple[int, ...]) -> None:
    memory = np.zeros(1 << 16, dtype=np.uint8)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    start = -memory.ctypes.data % ALIGNMENT + 16
    array = memory[start : start + size].view(dtype).reshape(shape)
    array[...] = np.ones(shape, dtype=dtype)
    found = aligned(array)
    assert found.ctypes.data % ALIGNMENT == 0
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert np.array_equal(found, array)
    assert aligned(found) is found


@pytest.mark.parametrize("array", [np.array(["a", "b"], dtype=object), np.zeros((0, 3))])
def test_text_and_nothing_stay_as_they_are(array: np.ndarray[Any, Any]) -> None:
    assert aligned(array) is array


def test_inputs_are_aligned() -> None:
    specs = [InputSpec(name=f"x{n}", dtype="float32", shape=(3, n)) for n in range(1, 30)]
    assert all(array.ctypes.data % ALIGNMENT == 0 for array in make_arrays(specs).values())
