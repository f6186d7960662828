"""Shapes of outputs, told from inputs, are those that PyTorch gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as fn

from profiler.engines.torch_shapes import output_of
from profiler.engines.torch_trace import trace_module
from profiler.work import parse_shapes

IMAGE, ROWS = torch.randn(2, 3, 15, 16), torch.randn(2, 7, 8)
CALLS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], torch.Tensor]] = {
    "conv": (lambda x: fn.conv2d(x, torch.ones(6, 3, 3, 2), stride=2, padding=1), IMAGE),
    "conv1d": (lambda x: fn.conv1d(x, torch.ones(4, 7, 3), dilation=2), ROWS),
    "depthwise": (lambda x: fn.conv2d(x, torch.ones(3, 1, 3, 3), groups=3), IMAGE),
    "transposed": (
        lambda x: fn.conv_transpose2d(x, torch.ones(3, 5, 4, 4), stride=2, output_padding=1),
        IMAGE,
    ),
    "max_pool": (lambda x: fn.max_pool2d(x, 3, 2, 1), IMAGE),
    "ceil": (lambda x: fn.max_pool2d(x, 2, 2, ceil_mode=True), IMAGE),
    "avg_pool": (lambda x: fn.avg_pool2d(x, (3, 2)), IMAGE),
    "adaptive": (lambda x: fn.adaptive_avg_pool2d(x, 4), IMAGE),
    "linear": (lambda x: fn.linear(x, torch.ones(4, 8)), ROWS),
    "matmul": (lambda x: torch.matmul(x, torch.ones(5, 1, 8, 3)), ROWS),
    "vector": (lambda x: torch.matmul(x, torch.ones(8)), ROWS),
    "bmm": (lambda x: torch.bmm(x, x.transpose(1, 2)), ROWS),
    "broadcast": (lambda x: x + torch.ones(5, 1, 7, 1), ROWS),
    "scalar": (lambda x: x * 2.0, ROWS),
    "softmax": (lambda x: x.softmax(-1), ROWS),
    "norm": (lambda x: fn.layer_norm(x, (8,)), ROWS),
    "attention": (lambda x: fn.scaled_dot_product_attention(x, x, x[..., :4]), ROWS),
    "mean": (lambda x: x.mean(1), ROWS),
    "kept": (lambda x: x.sum((0, -1), keepdim=True), ROWS),
    "whole": (lambda x: x.sum(), ROWS),
    "cat": (lambda x: torch.cat([x, x[:, :3]], 1), ROWS),
    "embedding": (lambda x: fn.embedding(torch.tensor([[1, 0, 1]]), x[0]), ROWS),
    "clone": (lambda x: x.clone(), ROWS),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_output_has_the_shape_that_is_told(name: str) -> None:
    call, x = CALLS[name]

    class Module(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return call(x)

    with torch.inference_mode():
        expected = tuple(call(x).shape)
        ops = trace_module(Module(), [x], "cpu", iterations=1, warmup=0).ops
    told = [parse_shapes(op.shapes).outputs for op in ops]
    assert told[-1] is not None, [op.shapes for op in ops]
    assert told[-1][0].dims == expected


@pytest.mark.parametrize(
    "op_type", ["aten::conv2d", "aten::mean", "aten::nobody_knows", "aten::mm"]
)
def test_what_is_not_known_is_not_told(op_type: str) -> None:
    assert output_of(op_type, [], []) is None
    assert (
        output_of("aten::conv2d", [(1, 3, 8, 8), (4, 3, 3, 3)], [None, None, None, "same"]) is None
    )
