"""What ONNX Runtime reaches here on one large product and one large copy."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from profiler.types import Ceiling

# Large enough for every core; the copy's operands don't fit into caches.
SIDE, COPIED_BYTES, REPETITIONS = 1024, 64 << 20, 5


def measure_ceiling(options: Any) -> Ceiling:
    """On the CPU with these session options, the best of some calls; takes about 0.3 s.

    LeakyRelu stands for the copy: it reads and writes each element once, on all threads.
    """
    dims = [SIDE, SIDE]
    product = _model("MatMul", ["a", "b"], dims, {})
    moved = _model("LeakyRelu", ["a"], [COPIED_BYTES // 4], {"alpha": 0.5})
    product_ns = _fastest_ns(product, options, {"a": dims, "b": dims})
    moved_ns = _fastest_ns(moved, options, {"a": [COPIED_BYTES // 4]})
    return Ceiling(
        flops_per_s=2 * SIDE**3 / product_ns * 1e9,
        bytes_per_s=2 * COPIED_BYTES / moved_ns * 1e9,
        how=f"ONNX Runtime's MatMul of {SIDE} x {SIDE} and LeakyRelu of {COPIED_BYTES >> 20} MiB, "
        "float32",
    )


def _model(op_type: str, inputs: list[str], dims: list[int], attributes: dict[str, Any]) -> bytes:
    graph = helper.make_graph(
        [helper.make_node(op_type, inputs, ["y"], **attributes)],
        "ceiling",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name in inputs],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, dims)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    content: bytes = model.SerializeToString()
    return content


def _fastest_ns(model: bytes, options: Any, shapes: dict[str, list[int]]) -> int:
    """Inputs and output are bound, so that nothing is allocated in a timed call."""
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, dims in shapes.items():
        value = onnxruntime.OrtValue.ortvalue_from_numpy(np.ones(dims, dtype=np.float32))
        binding.bind_ortvalue_input(name, value)
    result = np.empty(next(iter(shapes.values())), dtype=np.float32)
    binding.bind_ortvalue_output("y", onnxruntime.OrtValue.ortvalue_from_numpy(result))
    latencies = []
    for _ in range(REPETITIONS):
        started = time.perf_counter_ns()
        session.run_with_iobinding(binding)
        latencies.append(time.perf_counter_ns() - started)
    return min(latencies)
