"""Shapes of a PyTorch operator's operands: inputs from the profiler, outputs from one more call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

import msgspec
import torch

from profiler.engines.torch_values import visit_operators
from profiler.op_kinds import kind_of
from profiler.types import OpTiming
from profiler.work import ARROW, WINDOW

Dims = tuple[int, ...]
# What the profiler calls dtypes: C++'s names.
DTYPES = {
    torch.float32: "float",
    torch.float64: "double",
    torch.float16: "c10::Half",
    torch.bfloat16: "c10::BFloat16",
    torch.int64: "long int",
    torch.int32: "int",
    torch.int16: "short int",
    torch.int8: "signed char",
    torch.uint8: "unsigned char",
    torch.bool: "bool",
    torch.complex64: "c10::complex<float>",
    torch.complex128: "c10::complex<double>",
    torch.qint8: "c10::qint8",
    torch.quint8: "c10::quint8",
}


def described(event: Any) -> str:
    """Operands of one of Kineto's events as "float[1, 8], long int[4] -> float[1, 8]".

    As ONNX Runtime's profile tells them. The profiler records no outputs: those of products,
    convolutions and attention follow from their inputs, which is all that can be known of the
    kernels that torch.compile calls; for others see `with_outputs`. A tensor of a list has no dtype
    of its own in the events, and is a "tensor[...]" here.
    """
    if not event.dtypes():
        return ""
    operands = _operands(event)
    text = ", ".join(f"{dtype}{list(dims)}" for dtype, dims in operands)
    name, concrete = event.name(), event.concrete_inputs()
    dims = output_of(name, [dims for _, dims in operands], concrete)
    if dims is not None:
        text += f"{ARROW}{operands[0][0]}{list(dims)}"
    window = _window(name, concrete)
    return f"{text}{WINDOW}{window}" if window else text


def with_outputs(
    ops: Sequence[OpTiming], module: torch.nn.Module, tensors: Sequence[torch.Tensor]
) -> tuple[OpTiming, ...]:
    """The operators of traced calls with shapes and size of their outputs, from one more call.

    Kernels of torch.compile are left as they are.
    """
    if hasattr(module, "_orig_mod"):
        return tuple(ops)
    seen: list[tuple[str, str, int]] = []

    def visit(_: str, kind: str, value: Any) -> None:
        found = list(_tensors(value))
        seen.append((kind, _written(found), sum(t.numel() * t.element_size() for t in found)))

    try:
        visit_operators(module, tensors, visit)
    except (NotImplementedError, RuntimeError):
        # Some operators (torch.cond) can't be watched; times are told all the same.
        return tuple(ops)
    iterations: dict[int, list[OpTiming]] = defaultdict(list)
    for op in ops:
        iterations[op.iteration].append(op)
    # The dispatcher isn't asked for all that a profiler shows (reading a number), nor the other way
    # round (checks of TorchScript).
    kinds = [kind for kind, _, _ in seen]
    found: list[OpTiming] = []
    for calls in iterations.values():
        matcher = SequenceMatcher(None, [op.op_type for op in calls], kinds, autojunk=False)
        for block in matcher.get_matching_blocks():
            for step in range(block.size):
                _, outputs, size = seen[block.b + step]
                op = calls[block.a + step]
                shapes = _with_output(op.shapes, outputs)
                calls[block.a + step] = msgspec.structs.replace(
                    op, shapes=shapes, output_bytes=size
                )
        found += calls
    return tuple(found)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)


def _written(tensors: Sequence[torch.Tensor]) -> str:
    return ", ".join(f"{DTYPES.get(t.dtype, t.dtype)}{list(t.shape)}" for t in tensors)


def _with_output(shapes: str, outputs: str) -> str:
    """In place of what was told of it before."""
    if not outputs:
        return shapes
    operands, before, window = shapes.partition(WINDOW)
    return f"{operands.partition(ARROW)[0]}{ARROW}{outputs}{before}{window}"


def _operands(event: Any) -> list[tuple[str, Dims]]:
    found: list[tuple[str, Dims]] = []
    shapes = event.structured_input_shapes()
    for dtype, shape in zip(event.dtypes(), shapes, strict=False):
        if dtype == "TensorList":
            found += [("tensor", tuple(dims)) for dims in shape]
        elif dtype not in ("", "Scalar", "ScalarList"):
            found.append((dtype, tuple(shape)))
    return found


def output_of(op_type: str, inputs: Sequence[Dims], concrete: Sequence[Any]) -> Dims | None:
    """The first output's dims, of a product, convolution or attention; None where not known.

    `concrete` are the call's arguments by position, None for tensors.
    """
    try:
        return _output_of(op_type, inputs, concrete)
    except (IndexError, TypeError, ValueError, ZeroDivisionError):
        # Another overload than those that are known here.
        return None


def _output_of(op_type: str, inputs: Sequence[Dims], concrete: Sequence[Any]) -> Dims | None:
    name = op_type.rpartition("::")[2].strip("_")
    match kind_of(op_type):
        case "matmul":
            return _product(name, inputs)
        case "conv":
            return _convolved(name, inputs, concrete)
        case "conv_transpose":
            return _spread(inputs, concrete)
        case "attention":
            return (*inputs[0][:-1], inputs[2][-1])
        case _:
            return None


def _window(op_type: str, concrete: Sequence[Any]) -> list[int]:
    """A pooling's, `max_pool2d(x, kernel, ...)`; empty for any other operator."""
    name = op_type.rpartition("::")[2].strip("_")
    if not name.startswith(("max_pool", "avg_pool")) or len(concrete) < 2:
        return []
    return _settings(concrete[1], int(name.partition("pool")[2][0]))


def _product(name: str, inputs: Sequence[Dims]) -> Dims:
    a, b = inputs[1:3] if name.startswith(("addmm", "baddbmm", "addmv")) else inputs[:2]
    if name == "linear":
        return (*a[:-1], *b[:-1])
    if len(a) == 1:
        return (*b[:-2], b[-1]) if len(b) > 1 else ()
    if len(b) == 1:
        return a[:-1]
    batch = torch.broadcast_shapes(a[:-2], b[:-2])
    return (*batch, a[-2], b[-1])


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
