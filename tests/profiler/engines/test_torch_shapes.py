"""Shapes of outputs, watched or told from inputs, are those that PyTorch gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as fn

from profiler.engines.torch_shapes import output_of, with_outputs
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
    "compared": (lambda x: x > 0, ROWS),
    "two": (lambda x: x.topk(2)[1], ROWS),
}
# What torch.compile calls kernels of others for.
FROM_INPUTS = {
    name: CALLS[name]
    for name in ("conv", "conv1d", "depthwise", "transposed", "linear", "matmul", "vector", "bmm")
}
WRITTEN = {
    "compared": "float[2, 7, 8] -> bool[2, 7, 8]",
    "two": "float[2, 7, 8] -> float[2, 7, 2], long int[2, 7, 2]",
    "max_pool": "float[2, 3, 15, 16] -> float[2, 3, 8, 8] window [3, 3]",
    "avg_pool": "float[2, 3, 15, 16] -> float[2, 3, 5, 8] window [3, 2]",
}


class Module(torch.nn.Module):
    def __init__(self, call: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.call = call

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.call(x)


@pytest.mark.parametrize("name", CALLS)
def test_an_output_has_the_shape_that_is_told(name: str) -> None:
    call, x = CALLS[name]
    module = Module(call)
    with torch.inference_mode():
        expected = call(x)
        traced = trace_module(module, [x], "cpu", iterations=2, warmup=0)
        ops = with_outputs(traced.ops, module, [x])
    assert len(ops) == len(traced.ops)
    told = parse_shapes(ops[-1].shapes).outputs
    assert told is not None, [op.shapes for op in ops]
    assert told[-1].dims == tuple(expected.shape)
    if name in WRITTEN:
        assert ops[-1].shapes == WRITTEN[name]
    if len(told) == 1:
        assert ops[-1].output_bytes == expected.numel() * expected.element_size()


@pytest.mark.parametrize("name", FROM_INPUTS)
def test_heavy_kernels_are_told_from_their_inputs(name: str) -> None:
    call, x = FROM_INPUTS[name]
    with torch.inference_mode():
        expected = call(x)
        ops = trace_module(Module(call), [x], "cpu", iterations=1, warmup=0).ops
    told = parse_shapes(ops[-1].shapes).outputs
    assert told is not None
    assert told[0].dims == tuple(expected.shape)


@pytest.mark.parametrize(
    "op_type", ["aten::conv2d", "aten::mean", "aten::nobody_knows", "aten::mm"]
)
def test_what_is_not_known_is_not_told(op_type: str) -> None:
    assert output_of(op_type, [], []) is None
    assert (
        output_of("aten::conv2d", [(1, 3, 8, 8), (4, 3, 3, 3)], [None, None, None, "same"]) is None
    )
