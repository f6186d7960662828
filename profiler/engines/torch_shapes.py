"""Shapes of a PyTorch operator's outputs, which its profiler doesn't record: from its inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from profiler.op_kinds import kind_of
from profiler.work import FOR_EACH_OUTPUT, REDUCTIONS

Dims = tuple[int, ...]
SAME = frozenset({"batch_norm", "layer_norm", "rms_norm", "group_norm", "softmax"})
# One tensor out for one tensor in: the profiler has no word on what else these give.
COPIES = frozenset({"clone"})


def described(event: Any) -> str:
    """Operands of one of Kineto's events as "float[1, 8], long int[4] -> float[1, 8]".

    As ONNX Runtime's profile tells them. What follows the arrow is left out where it isn't known;
    a tensor of a list has no dtype of its own in the events, and is a "tensor[...]" here.
    """
    if not event.dtypes():
        return ""
    operands = _operands(event)
    inputs = ", ".join(f"{dtype}{list(dims)}" for dtype, dims in operands)
    found = output_of(event.name(), [dims for _, dims in operands], event.concrete_inputs())
    if found is None or not operands:
        return inputs
    dims, window = found
    text = f"{inputs} -> {operands[0][0]}{list(dims)}"
    return f"{text} window {list(window)}" if window else text


def _operands(event: Any) -> list[tuple[str, Dims]]:
    found: list[tuple[str, Dims]] = []
    shapes = event.structured_input_shapes()
    for dtype, shape in zip(event.dtypes(), shapes, strict=False):
        if dtype == "TensorList":
            found += [("tensor", tuple(dims)) for dims in shape]
        elif dtype not in ("", "Scalar", "ScalarList"):
            found.append((dtype, tuple(shape)))
    return found


def output_of(
    op_type: str, inputs: Sequence[Dims], concrete: Sequence[Any]
) -> tuple[Dims, Dims] | None:
    """The first output's dims and a pooling's window; None where they aren't known.

    `concrete` are the call's arguments by position, None for tensors.
    """
    try:
        return _output_of(op_type, inputs, concrete)
    except (IndexError, TypeError, ValueError, ZeroDivisionError):
        # Another overload than those that are known here.
        return None


def _output_of(
    op_type: str, inputs: Sequence[Dims], concrete: Sequence[Any]
) -> tuple[Dims, Dims] | None:
    name = op_type.rpartition("::")[2].strip("_")
    kind = kind_of(op_type)
    if kind == "matmul":
        return _product(name, inputs), ()
    if kind == "conv":
        return _convolved(name, inputs, concrete), ()
    if kind == "conv_transpose":
        return _spread(inputs, concrete), ()
    if kind == "attention":
        return (*inputs[0][:-1], inputs[2][-1]), ()
    if name == "embedding":
        return (*inputs[1], inputs[0][1]), ()
    if name in ("cat", "concat"):
        return _joined(inputs, next(v for v in concrete if isinstance(v, int))), ()
    if name.startswith("adaptive"):
        sizes = concrete[1]
        return (*inputs[0][: -len(sizes)], *sizes), ()
    if kind in ("max_pool", "mean") and "pool" in name:
        return _pooled(name, inputs[0], concrete)
    if kind in REDUCTIONS or kind == "mean":
        return _reduced(inputs[0], concrete), ()
    if kind in SAME or name in COPIES:
        return inputs[0], ()
    if kind in FOR_EACH_OUTPUT:
        return _broadcast(inputs), ()
    return None


def _broadcast(inputs: Sequence[Dims]) -> Dims:
    rank = max(len(dims) for dims in inputs)
    padded = [(1,) * (rank - len(dims)) + tuple(dims) for dims in inputs]
    # A dim of 0 wins over 1.
    return tuple(next((n for n in sizes if n != 1), 1) for sizes in zip(*padded, strict=True))


def _product(name: str, inputs: Sequence[Dims]) -> Dims:
    a, b = inputs[1:3] if name.startswith(("addmm", "baddbmm", "addmv")) else inputs[:2]
    if name == "linear":
        return (*a[:-1], *b[:-1])
    if len(a) == 1:
        return (*b[:-2], b[-1]) if len(b) > 1 else ()
    if len(b) == 1:
        return a[:-1]
    return (*_broadcast([a[:-2], b[:-2]]), a[-2], b[-1])


def _settings(values: Sequence[int], count: int) -> list[int]:
    """A single value stands for every spatial dimension."""
    return list(values) * count if len(values) == 1 else list(values)


def _convolved(name: str, inputs: Sequence[Dims], concrete: Sequence[Any]) -> Dims:
    """`conv2d(x, w, b, stride, padding, dilation, groups)`; `convolution` has more after these."""
    data, weight = inputs[0], inputs[1]
    spatial = len(weight) - 2
    if name == "mkldnn_convolution":
        padding, stride, dilation = (_settings(concrete[i], spatial) for i in (3, 4, 5))
    else:
        stride, padding, dilation = (_settings(concrete[i], spatial) for i in (3, 4, 5))
        if len(concrete) > 7 and concrete[6] is True:
            raise ValueError("a transposed convolution")
    sizes = [
        (size + 2 * pad - gap * (kernel - 1) - 1) // step + 1
        for size, kernel, step, pad, gap in zip(
            data[-spatial:], weight[2:], stride, padding, dilation, strict=True
        )
    ]
    return (*data[: -spatial - 1], weight[0], *sizes)


def _spread(inputs: Sequence[Dims], concrete: Sequence[Any]) -> Dims:
    """`conv_transpose2d(x, w, b, stride, padding, output_padding, groups, dilation)`."""
    data, weight = inputs[0], inputs[1]
    spatial = len(weight) - 2
    stride, padding, extra = (_settings(concrete[i], spatial) for i in (3, 4, 5))
    dilation = _settings(concrete[7], spatial)
    sizes = [
        (size - 1) * step - 2 * pad + gap * (kernel - 1) + more + 1
        for size, kernel, step, pad, more, gap in zip(
            data[-spatial:], weight[2:], stride, padding, extra, dilation, strict=True
        )
    ]
    return (*data[: -spatial - 1], weight[1] * int(concrete[6]), *sizes)


def _pooled(name: str, data: Dims, concrete: Sequence[Any]) -> tuple[Dims, Dims]:
    """`max_pool2d(x, kernel, stride, padding, dilation, ceil)`, `avg_pool2d(..., ceil, ...)`."""
    spatial = int(name.partition("pool")[2][0])
    kernel = _settings(concrete[1], spatial)
    stride = _settings(concrete[2] or kernel, spatial)
    padding = _settings(concrete[3], spatial)
    most = name.startswith("max")
    dilation = _settings(concrete[4], spatial) if most else [1] * spatial
    upwards = bool(concrete[5 if most else 4])
    sizes = []
    for size, window, step, pad, gap in zip(
        data[-spatial:], kernel, stride, padding, dilation, strict=True
    ):
        span = size + 2 * pad - gap * (window - 1) - 1
        count = (math.ceil(span / step) if upwards else span // step) + 1
        # The last window starts inside of the input or its left padding.
        sizes.append(count - 1 if upwards and (count - 1) * step >= size + pad else count)
    return (*data[:-spatial], *sizes), tuple(kernel)


def _reduced(data: Dims, concrete: Sequence[Any]) -> Dims:
    """`mean(x, dims, keepdim, ...)`; without dims over everything."""
    dims = concrete[1] if len(concrete) > 1 else None
    if dims is None or dims == []:
        return ()
    wanted = {d % len(data) for d in ([dims] if isinstance(dims, int) else dims)}
    keep = len(concrete) > 2 and concrete[2] is True
    return tuple(
        1 if index in wanted else size
        for index, size in enumerate(data)
        if keep or index not in wanted
    )


def _joined(inputs: Sequence[Dims], dim: int) -> Dims:
    place = dim % len(inputs[0])
    whole = list(inputs[0])
    whole[place] = sum(dims[place] for dims in inputs)
    return tuple(whole)
