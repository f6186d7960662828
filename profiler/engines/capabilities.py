"""What the engines can use on this machine. Child processes only."""

from __future__ import annotations

import onnxruntime
import torch

from profiler.types import Capabilities


def look_around() -> Capabilities:
    """Execution providers that this build of ONNX Runtime has, and PyTorch's GPUs."""
    return Capabilities(
        execution_providers=tuple(onnxruntime.get_available_providers()),
        cuda_devices=torch.cuda.device_count(),
    )
