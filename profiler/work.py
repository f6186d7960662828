"""Floating-point operations and bytes of an operator, from its shapes: pure functions.

A multiplication with an addition counts as two operations, as `torch.utils.flop_counter` and the
roofline model (Williams, Waterman, Patterson, CACM 2009) count them. A function of one element
(exp, erf, tanh) counts as one. Fused biases, additions and activations are left out. Bytes are what
must be read and written at least: every input once and every output once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from profiler.op_kinds import kind_of


class Tensor(NamedTuple):
    """An operand: its dtype as the engine spells it, and its dims."""

    dtype: str
    dims: tuple[int, ...]

    @property
    def elements(self) -> int:
        """1 for a scalar."""
        return math.prod(self.dims)


class Shapes(NamedTuple):
    """`outputs` is None where the engine doesn't tell; `window` is a pooling's."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...] | None = None
    window: tuple[int, ...] = ()


class Work(NamedTuple):
    """Of one call; None where it isn't known."""

    flops: float | None = None
    moved_bytes: float | None = None


ENTRY = re.compile(r"([^\[\],]+)\[([\d, ]*)\]")
ARROW, WINDOW = " -> ", " window "
# ONNX Runtime's names, then PyTorch's (C++) ones.
ELEMENT_BYTES = {
    **dict.fromkeys(("bool", "int8", "uint8", "signed char", "unsigned char", "char"), 1),
    **dict.fromkeys(("float8e4m3fn", "float8e5m2", "c10::qint8", "c10::quint8"), 1),
    **dict.fromkeys(("float16", "bfloat16", "c10::Half", "c10::BFloat16"), 2),
    **dict.fromkeys(("int16", "uint16", "short", "short int", "unsigned short"), 2),
    **dict.fromkeys(("float", "int32", "uint32", "int", "unsigned int"), 4),
    **dict.fromkeys(("double", "int64", "uint64", "long", "long int", "unsigned long"), 8),
    **dict.fromkeys(("c10::complex<float>",), 8),
    **dict.fromkeys(("c10::complex<double>",), 16),
}
# Kinds that do one operation for each element of the output, and reductions, with one an input's.
ELEMENTWISE = (
    "relu gelu silu hardswish sigmoid tanh clip add sub mul div pow where quantize "
    "exp log log1p sqrt rsqrt reciprocal erf neg abs sin cos floor ceil round sign min max "
    "minimum maximum eq ne lt le gt ge equal less greater lessorequal greaterorequal and or "
    "not logical_and logical_or logical_not leaky_relu leakyrelu elu selu softplus mish prelu "
    "biasgelu fastgelu softsign isnan isinf mod remainder bitwise_and bitwise_not"
)
REDUCING = (
    "sum reducesum reducemax reducemin reduceprod amax amin prod argmax argmin cumsum "
    "reducel2 norm linalg_vector_norm all any topk"
)
FOR_EACH_OUTPUT = {
    **dict.fromkeys(ELEMENTWISE.split(), 1.0),
    # A scale and a shift; sums, squares, a difference, scale and shift; exp, sum, division.
    "batch_norm": 2.0,
    "layer_norm": 8.0,
    "group_norm": 8.0,
    "instancenormalization": 8.0,
    "rms_norm": 5.0,
    "softmax": 5.0,
}
REDUCTIONS = frozenset(REDUCING.split())
# Bytes are moved, nothing is computed.
MOVES = frozenset({"transpose", "cast", "concat", "split", "slice", "expand", "pad", "layout"})
COPIES = frozenset({"copy", "memcpy", "gather"})
# May be no more than another look at the same memory: nothing is known of what they move.
VIEWS = frozenset({"view", "dropout", "shape", "constant", "assert_tensor_metadata"})
TORCH_VIEWS = VIEWS | {"transpose", "expand", "split", "slice", "cast", "layout"}


@lru_cache(maxsize=8192)
def work_of(op_type: str, shapes: str) -> Work:
    """What one call does; `shapes` as `OpTiming` has them."""
    found = parse_shapes(shapes)
    return Work(flops_of(op_type, found), bytes_of(op_type, found))


def parse_shapes(text: str) -> Shapes:
    """Reads "float[1, 8], float[8] -> float[1, 8] window [2, 2]"; parts after -> may be missing."""
    operands, _, window = text.partition(WINDOW)
    before, arrow, after = operands.partition(ARROW)
    sizes = tuple(int(part) for part in re.findall(r"\d+", window))
    outputs = _tensors(after)
    return Shapes(_tensors(before), outputs if arrow and outputs else None, sizes)


def flops_of(op_type: str, shapes: Shapes) -> float | None:
    """None for an operator, or shapes, that nothing is known of."""
    kind = kind_of(op_type)
    if _is_view(op_type, kind):
        return None
    if kind in MOVES or kind in COPIES:
        return 0.0
    if formula := FORMULAS.get(kind):
        try:
            return formula(op_type, shapes)
        except (IndexError, ValueError, ZeroDivisionError):
            # Fewer operands, or of another rank, than this operator has.
            return None
    if kind in REDUCTIONS:
        return float(shapes.inputs[0].elements) if shapes.inputs else None
    each = FOR_EACH_OUTPUT.get(kind)
    if each is None or not shapes.outputs:
        return None
    return each * shapes.outputs[0].elements


def bytes_of(op_type: str, shapes: Shapes) -> float | None:
    """None unless every operand is known."""
    kind = kind_of(op_type)
    if _is_view(op_type, kind) or not shapes.inputs or not shapes.outputs:
        return None
    written = _bytes(shapes.outputs)
    if kind in ("gather", "slice"):
        # Only the rows that are wanted.
        indices = _bytes(shapes.inputs[1:] if "embedding" not in op_type else shapes.inputs[1:2])
        return None if written is None or indices is None else 2 * written + indices
    read = _bytes(shapes.inputs)
    return None if written is None or read is None else read + written


def _is_view(op_type: str, kind: str) -> bool:
    of_torch = op_type.startswith("aten::")
    # ONNX Runtime's Identity, PyTorch's `contiguous`: often nothing at all.
    return kind in (TORCH_VIEWS if of_torch else VIEWS) or op_type.rpartition("::")[2] in (
        "Identity",
        "contiguous",
    )


def _tensors(text: str) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(dtype.strip(), tuple(int(part) for part in dims.split(",") if part.strip()))
        for dtype, dims in ENTRY.findall(text)
    )


def _bytes(tensors: Sequence[Tensor]) -> float | None:
    sizes = [ELEMENT_BYTES.get(tensor.dtype) for tensor in tensors]
    if None in sizes:
        return None
    return float(sum(t.elements * (size or 0) for t, size in zip(tensors, sizes, strict=True)))


# --- formulas ------------------------------------------------------------------------------


def _matmul(op_type: str, shapes: Shapes) -> float | None:
    """Twice the output times the inner dimension."""
    name = op_type.rpartition("::")[2].strip("_")
    a = shapes.inputs[1 if name in ("addmm", "baddbmm", "addmv", "addbmm") else 0].dims
    if name == "linear":
        return (
            2.0 * math.prod(a) * (shapes.inputs[1].dims[0] if len(shapes.inputs[1].dims) > 1 else 1)
        )
    if not shapes.outputs:
        return None
    out = shapes.outputs[0]
    if name in ("Gemm", "FusedGemm", "QGemm", "FusedMatMul", "TransposeMatMul"):
        # Either of the last two dims may be the inner one.
        rows = out.dims[-2]
        inner, rest = divmod(a[-1] * a[-2], rows)
        return None if rest else 2.0 * out.elements * inner
    return 2.0 * out.elements * a[-1]


def _conv(op_type: str, shapes: Shapes) -> float | None:
    """Twice the output times the weights of one output channel."""
    if not shapes.outputs:
        return None
    weight = shapes.inputs[3 if op_type.endswith("QLinearConv") else 1].dims
    if len(weight) < 3:
        return None
    return 2.0 * shapes.outputs[0].elements * math.prod(weight[1:])


def _conv_transpose(op_type: str, shapes: Shapes) -> float | None:
    """Each input element meets the weights of its channel."""
    del op_type
    data, weight = shapes.inputs[0], shapes.inputs[1].dims
    return 2.0 * data.elements * math.prod(weight[1:]) if len(weight) >= 3 else None


def _attention(op_type: str, shapes: Shapes) -> float | None:
    """Scores and their product with the values; the projection too where it is fused in.

    Microsoft's Attention has [B, S, D] and weights [D, 3 D], MultiHeadAttention [B, S, D] three
    times, ONNX's and PyTorch's [B, H, S, E] or [B, S, D]. A causal half isn't left out.
    """
    name = op_type.rpartition("::")[2]
    first, second = shapes.inputs[0].dims, shapes.inputs[1].dims
    if name in ("Attention", "QAttention") and len(first) == 3 and len(second) == 2:
        batch, length, _ = first
        width = second[1] / 3
        keys = length
        if len(shapes.outputs or ()) > 1:
            keys = (shapes.outputs or ())[1].dims[-2]
        return 2.0 * batch * length * math.prod(second) + 4.0 * batch * length * keys * width
    if name in ("MultiHeadAttention", "GroupQueryAttention") and len(second) != 3:
        # Packed, or keys in a cache's layout.
        return None
    keys, values = second[-2], shapes.inputs[2].dims[-1]
    if name == "Attention" and len(first) == 3 and values != first[-1]:
        # Heads that share keys: how many there are isn't in the shapes.
        return None
    if name == "GroupQueryAttention":
        present = (shapes.outputs or ())[1].dims
        keys, values = present[-2], first[-1]
    return 2.0 * math.prod(first[:-1]) * keys * (first[-1] + values)


def _recurrent(op_type: str, shapes: Shapes) -> float | None:
    """The weights' products at each step; gates' own arithmetic is left out."""
    steps = math.prod(shapes.inputs[0].dims[:-1])
    of_torch = op_type.startswith("aten::")
    weights = [t.elements for t in shapes.inputs[1:] if len(t.dims) == (2 if of_torch else 3)]
    # ONNX's initial states have the rank of W and R, and come later.
    counted = weights if of_torch else weights[:2]
    return 2.0 * steps * sum(counted) if len(counted) >= 2 else None


def _pooling(op_type: str, shapes: Shapes) -> float | None:
    """One operation for each element under the window; a reduction reads each element once."""
    if shapes.window:
        return (
            float(shapes.outputs[0].elements * math.prod(shapes.window)) if shapes.outputs else None
        )
    name = op_type.rpartition("::")[2].lower()
    windowed = "pool" in name and "global" not in name and "adaptive" not in name
    return None if windowed else float(shapes.inputs[0].elements)


FORMULAS: dict[str, Callable[[str, Shapes], float | None]] = {
    "matmul": _matmul,
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "attention": _attention,
    "lstm": _recurrent,
    "gru": _recurrent,
    "max_pool": _pooling,
    "mean": _pooling,
}
