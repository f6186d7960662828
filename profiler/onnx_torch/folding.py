"""Evaluate a node at import when all that it takes is known and small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from profiler.onnx_torch.values import Value, known_array

# Shape arithmetic, masks and tables; weights are larger, and copies of them would cost memory.
MAX_ELEMENTS = 65_536
NEVER = (
    "Constant",
    "RandomNormal",
    "RandomUniform",
    "RandomNormalLike",
    "RandomUniformLike",
    "Bernoulli",
    "Multinomial",
    "Dropout",
    "If",
    "Loop",
    "Scan",
    "ImageDecoder",
    "Identity",
    # Wrong in the reference where the sizes of the other axes differ.
    "GatherElements",
)


def folded(
    node: onnx.NodeProto, inputs: Sequence[Value], opsets: Sequence[onnx.OperatorSetIdProto]
) -> tuple[Value, ...] | None:
    """The node's results by ONNX's own reference; None when an input is a tensor or large."""
    if node.domain not in ("", "ai.onnx") or node.op_type in NEVER or not any(node.input):
        return None
    arrays = [known_array(value) for value in inputs]
    if any(a is None for a, name in zip(arrays, node.input, strict=True) if name):
        return None
    if any(a.size > MAX_ELEMENTS for a in arrays if a is not None):
        return None
    feeds = {name: a for name, a in zip(node.input, arrays, strict=True) if name}
    try:
        results = _evaluate(node, feeds, opsets)
    except Exception:
        # The reference lacks some operators and types; the node is built as usual then.
        return None
    if any(not isinstance(r, np.ndarray) or r.size > MAX_ELEMENTS for r in results):
        return None
    return _placed(node, results)


def _placed(node: onnx.NodeProto, results: list[Any]) -> tuple[Value, ...]:
    """One value for each output; outputs that are left out get None."""
    found = iter(results)
    return tuple(next(found) if name else None for name in node.output)


def _evaluate(
    node: onnx.NodeProto, feeds: dict[str, Any], opsets: Sequence[onnx.OperatorSetIdProto]
) -> list[Any]:
    inputs = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in feeds.items()
    ]
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = onnx.helper.make_graph([node], "folding", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=list(opsets))
    results = ReferenceEvaluator(model).run(None, feeds)
    return [r if isinstance(r, list) else np.asarray(r) for r in results]
