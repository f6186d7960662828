"""Values inside of an ONNX model, from a copy of it that has them as further outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from profiler.outputs import Array

# Quantized operators: where their inputs have scale and zero point of the output.
QUANTIZED = {
    "QuantizeLinear": 1,
    "QLinearConv": 6,
    "QLinearMatMul": 6,
    "QLinearAdd": 6,
    "QLinearMul": 6,
    "QLinearGlobalAveragePool": 3,
    "QLinearAveragePool": 3,
    "QLinearSigmoid": 3,
    "QLinearLeakyRelu": 3,
    "QLinearSoftmax": 3,
}
FLOAT_NAME = "{}/dualscope_dequantized"

Run = Callable[[bytes, Sequence[str]], list[Any]]


def collect_values(
    model: onnx.ModelProto, names: Sequence[str], run: Run
) -> Iterator[tuple[str, Array]]:
    """Values by name, those of quantized operators as the floats that they stand for.

    `model` needs no external data; `run` takes a serialized model and the outputs to give. What the
    graph doesn't have, or can't give as an output (a sequence), is left out.
    """
    producers = {v: node for node in model.graph.node for v in node.output if v}
    known = [name for name in dict.fromkeys(names) if name in producers]
    yield from _collected(model, known, producers, run)


def _collected(
    model: onnx.ModelProto,
    names: Sequence[str],
    producers: Mapping[str, onnx.NodeProto],
    run: Run,
) -> Iterator[tuple[str, Array]]:
    if not names:
        return
    copy, outputs = with_outputs(model, names, producers)
    try:
        found = run(copy.SerializeToString(), outputs)
    except Exception:
        # ONNX Runtime has classes of its own for a value that can't be an output: find out which.
        if len(names) > 1:
            middle = len(names) // 2
            yield from _collected(model, names[:middle], producers, run)
            yield from _collected(model, names[middle:], producers, run)
        return
    for name, value in zip(names, found, strict=True):
        if isinstance(value, np.ndarray):
            yield name, value


def with_outputs(
    model: onnx.ModelProto, names: Sequence[str], producers: Mapping[str, onnx.NodeProto]
) -> tuple[onnx.ModelProto, list[str]]:
    """A copy that gives these values too, and what each is called there."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    given = {value.name for value in copy.graph.output}
    outputs = []
    for name in names:
        node = producers[name]
        if node.op_type in QUANTIZED and name == node.output[0]:
            first = QUANTIZED[node.op_type]
            inputs = [name, *(value for value in node.input[first : first + 2])]
            float_name = FLOAT_NAME.format(name)
            copy.graph.node.append(
                onnx.helper.make_node("DequantizeLinear", inputs, [float_name], name=float_name)
            )
            outputs.append(float_name)
        else:
            outputs.append(name)
    for name in outputs:
        if name not in given:
            copy.graph.output.append(onnx.ValueInfoProto(name=name))
            given.add(name)
    return copy, outputs
