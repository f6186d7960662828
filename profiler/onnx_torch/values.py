"""What flows between operators at import: tensors, constants, sizes; and the types of ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import torch
from numpy.typing import NDArray

Array = NDArray[Any]
Dim = int | torch.fx.Node

# Integer constants up to this size take part in shape arithmetic.
MAX_SHAPE_ELEMENTS = 64
T = onnx.TensorProto
DTYPES: dict[int, torch.dtype] = {
    T.FLOAT: torch.float32,
    T.DOUBLE: torch.float64,
    T.FLOAT16: torch.float16,
    T.BFLOAT16: torch.bfloat16,
    T.INT8: torch.int8,
    T.INT16: torch.int16,
    T.INT32: torch.int32,
    T.INT64: torch.int64,
    T.UINT8: torch.uint8,
    T.UINT16: torch.uint16,
    T.UINT32: torch.uint32,
    T.UINT64: torch.uint64,
    T.BOOL: torch.bool,
    T.COMPLEX64: torch.complex64,
    T.COMPLEX128: torch.complex128,
    T.FLOAT8E4M3FN: torch.float8_e4m3fn,
    T.FLOAT8E4M3FNUZ: torch.float8_e4m3fnuz,
    T.FLOAT8E5M2: torch.float8_e5m2,
    T.FLOAT8E5M2FNUZ: torch.float8_e5m2fnuz,
    T.FLOAT8E8M0: torch.float8_e8m0fnu,
}
# PyTorch has no tensors of these: each is held in the smallest type that has all its values.
HELD_IN: dict[int, torch.dtype] = {
    T.INT4: torch.int8,
    T.UINT4: torch.uint8,
    T.INT2: torch.int8,
    T.UINT2: torch.uint8,
    T.FLOAT4E2M1: torch.float8_e4m3fn,
}
TORCH_TYPES = DTYPES | HELD_IN
# NumPy types that torch.from_numpy does not know, by the bits that carry them.
BY_BITS: dict[str, tuple[Any, torch.dtype]] = {
    "bfloat16": (np.int16, torch.bfloat16),
    "float8_e4m3fn": (np.int8, torch.float8_e4m3fn),
    "float8_e4m3fnuz": (np.int8, torch.float8_e4m3fnuz),
    "float8_e5m2": (np.int8, torch.float8_e5m2),
    "float8_e5m2fnuz": (np.int8, torch.float8_e5m2fnuz),
    "float8_e8m0fnu": (np.int8, torch.float8_e8m0fnu),
}
BY_VALUES: dict[str, Any] = {
    "int4": np.int8,
    "uint4": np.uint8,
    "int2": np.int8,
    "uint2": np.uint8,
    "float4_e2m1fn": ml_dtypes.float8_e4m3fn,
}


@dataclass(frozen=True)
class ShapeValue:
    """Integers known as Python ints or symbolic sizes: a 1-D tensor of ONNX, or a scalar.

    Kept off tensors so that no copy between shape and data breaks the graph.
    """

    dims: tuple[Dim, ...]
    scalar: bool = False
    dtype: torch.dtype = torch.int64

    @property
    def known(self) -> bool:
        return all(isinstance(d, int) for d in self.dims)


# A tensor in the graph, a constant, integers of a shape, or an input that is left out.
Value = torch.fx.Node | Array | ShapeValue | None


def as_shape(value: Value) -> ShapeValue | None:
    """Shape values, and small constants of integers."""
    if isinstance(value, ShapeValue):
        return value
    is_integers = isinstance(value, np.ndarray) and value.dtype.kind in "iub" and value.ndim <= 1
    if isinstance(value, np.ndarray) and is_integers and value.size <= MAX_SHAPE_ELEMENTS:
        dims = tuple(v.item() for v in value.reshape(-1))
        return ShapeValue(dims, value.ndim == 0, torch.from_numpy(np.empty(0, value.dtype)).dtype)
    return None


def to_tensor(array: Array) -> torch.Tensor:
    """A tensor that shares the array's memory where PyTorch has the type."""
    if array.dtype.name in BY_VALUES:
        array = array.astype(BY_VALUES[array.dtype.name])
    if array.dtype.name in BY_BITS:
        bits, dtype = BY_BITS[array.dtype.name]
        return _shared(array.view(bits)).view(dtype)
    return _shared(array)


def to_array(tensor: torch.Tensor) -> Array:
    """An array that shares the tensor's memory; of the types that ONNX calls so."""
    for name, (bits, dtype) in BY_BITS.items():
        if tensor.dtype is dtype:
            by_bits: Array = tensor.view(torch.from_numpy(np.empty(0, bits)).dtype).numpy()
            return by_bits.view(getattr(ml_dtypes, name))
    found: Array = tensor.numpy()
    return found


def _shared(array: Array) -> torch.Tensor:
    # Shares memory of read-only arrays too, by way of a buffer: nothing writes to weights.
    if array.flags.writeable:
        return torch.from_numpy(array)
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def known_array(value: Value) -> Array | None:
    """The value as an array when nothing of it is computed at run time."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, ShapeValue) and value.known:
        dtype = torch.empty(0, dtype=value.dtype).numpy().dtype
        return np.array(value.dims[0] if value.scalar else value.dims, dtype=dtype)
    return None
