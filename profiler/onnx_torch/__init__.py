"""ONNX graph -> torch.fx.GraphModule whose nodes keep the ONNX node names."""

from __future__ import annotations

from profiler.onnx_torch.importer import import_onnx, missing_ops
from profiler.onnx_torch.registry import supported_ops

__all__ = ["import_onnx", "missing_ops", "supported_ops"]
