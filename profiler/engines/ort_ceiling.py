"""What ONNX Runtime reaches here on products and passes over memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from profiler.engines.ceilings import (
    PARTS,
    PASSED_BYTES,
    SIDES,
    SQUARES,
    Try,
    measured,
    product_flops,
)
from profiler.types import Ceiling


def measure_ceiling(options: Any) -> Ceiling:
    """On the CPU with these session options.

    LeakyRelu stands for the pass: it reads and writes each element once, on all threads.
    """
    product = _session("MatMul", ["a", "b"], 2, options)
    passing = _session("LeakyRelu", ["a"], 1, options, alpha=0.5)
    products: list[Try] = [
        (product_flops(side), _call(product, {"a": _ones(side, side), "b": _ones(side, side)}))
        for side in SIDES
    ]
    source, target = _ones(PASSED_BYTES // 4), _ones(PASSED_BYTES // 4)
    pieces = zip(np.split(source, PARTS), np.split(target, PARTS), strict=True)
    passes: list[Try] = [
        (2.0 * a.nbytes, _call(passing, {"a": a}, result))
        for a, result in (*pieces, (source, target))
    ]
    return measured(
        products,
        passes,
        f"ONNX Runtime's MatMul of {SQUARES} and LeakyRelu over {PASSED_BYTES >> 20} MiB, float32",
    )


def _ones(*dims: int) -> Any:
    return np.ones(dims, dtype=np.float32)


def _session(op_type: str, inputs: list[str], rank: int, options: Any, **attributes: Any) -> Any:
    """One node, of any sizes."""
    dims = [f"d{axis}" for axis in range(rank)]
    graph = helper.make_graph(
        [helper.make_node(op_type, inputs, ["y"], **attributes)],
        "ceiling",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name in inputs],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, dims)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    content = model.SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _call(session: Any, feeds: dict[str, Any], result: Any = None) -> Callable[[], object]:
    """Inputs and output are bound, so that nothing is allocated in a timed call."""
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    target = np.empty_like(feeds["a"]) if result is None else result
    binding.bind_ortvalue_output("y", onnxruntime.OrtValue.ortvalue_from_numpy(target))
    return partial(session.run_with_iobinding, binding)
