"""A PyTorch module in another precision: weights and inputs cast, or linear layers quantized."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch

from profiler.errors import EngineError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def in_precision(module: torch.nn.Module, precision: str) -> torch.nn.Module:
    """Floating-point weights in that precision ("fp32", "bf16", "fp16"), without autocast.

    "int8": linear layers with weights in int8, activations quantized on the fly
    (`torch.ao.quantization.quantize_dynamic`). Raises EngineError where there is none.
    """
    if precision in DTYPES:
        return module.to(DTYPES[precision])
    with warnings.catch_warnings():
        # PyTorch moves this to torchao, which its own wheel doesn't bring.
        warnings.simplefilter("ignore")
        try:
            from torch.ao.quantization import quantize_dynamic
        except ImportError as error:
            raise EngineError(
                "This PyTorch has no torch.ao.quantization.", "Leave precision=int8 out."
            ) from error
        with torch.inference_mode(False), torch.no_grad():
            quantized: torch.nn.Module = quantize_dynamic(
                module, {torch.nn.Linear}, dtype=torch.qint8
            )
    if not any(_is_packed(part) for part in quantized.modules()):
        raise EngineError(
            "The model has no linear layer that PyTorch can quantize.",
            "A model imported from ONNX or TorchScript has none: open the PyTorch module itself.",
        )
    return quantized


def cast(tensors: Sequence[torch.Tensor], precision: str) -> list[torch.Tensor]:
    """Floating-point inputs as the module takes them."""
    dtype = DTYPES.get(precision)
    return [t.to(dtype) if dtype and t.is_floating_point() else t for t in tensors]


def packed_bytes(module: torch.nn.Module) -> int:
    """Weights that quantized layers keep outside of their parameters."""
    packed: list[Any] = [part for part in module.modules() if _is_packed(part)]
    weights = [part.weight() for part in packed]
    return sum(int(weight.numel() * weight.element_size()) for weight in weights)


def _is_packed(part: Any) -> bool:
    return isinstance(part, torch.ao.nn.quantized.dynamic.Linear)
