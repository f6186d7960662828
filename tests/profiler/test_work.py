"""FLOPs and bytes against hand calculations, and against PyTorch's own counter on real modules."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from profiler.engines.torch_trace import trace_module
from profiler.work import Shapes, Tensor, parse_shapes, work_of

BY_HAND = [
    # y[8, 4] = x[8, 16] w[16, 4]: 8 * 4 sums of 16 products.
    ("MatMul", "float[8, 16], float[16, 4] -> float[8, 4]", 1024, 4 * (128 + 64 + 32)),
    ("MatMul", "float[2, 3, 8, 16], float[16, 4] -> float[2, 3, 8, 4]", 6 * 1024, 4 * 1024),
    ("MatMul", "float[16], float[16, 4] -> float[4]", 128, 4 * (16 + 64 + 4)),
    # Either way round: 4 * 10 sums of 64.
    ("Gemm", "float[4, 64], float[10, 64], float[10] -> float[4, 10]", 5120, 4 * 946),
    ("Gemm", "float[64, 4], float[10, 64], float[10] -> float[4, 10]", 5120, 4 * 946),
    ("com.microsoft::FusedMatMul", "float[2, 8, 4], float[2, 8, 4] -> float[2, 4, 4]", 512, 640),
    ("aten::linear", "float[2, 8], float[4, 8], float[4] -> float[2, 4]", 128, 4 * 60),
    ("aten::addmm", "float[4], float[2, 8], float[8, 4] -> float[2, 4]", 128, 4 * 60),
    ("aten::linear", "c10::Half[2, 8], c10::Half[4, 8] -> c10::Half[2, 4]", 128, 2 * 56),
    # 6 * 10 * 10 outputs, each of 3 * 5 * 5 products.
    ("Conv", "float[1, 3, 14, 14], float[6, 3, 5, 5] -> float[1, 6, 10, 10]", 90_000, 6552),
    # Depthwise: each of 9 products.
    ("Conv", "float[1, 6, 8, 8], float[6, 1, 3, 3] -> float[1, 6, 6, 6]", 3888, 2616),
    ("ConvTranspose", "float[1, 8, 4, 4], float[8, 3, 2, 2] -> float[1, 3, 8, 8]", 3072, 1664),
    # Scores and values: 2 * 4 * 16 * 16 * 8 each.
    ("aten::scaled_dot_product_attention", "float[1, 4, 16, 8], float[1, 4, 16, 8], "
     "float[1, 4, 16, 8] -> float[1, 4, 16, 8]", 32_768, 8192),
    ("MultiHeadAttention", "float[2, 16, 32], float[2, 16, 32], float[2, 16, 32] -> "
     "float[2, 16, 32]", 65_536, 16_384),
    # Besides these, the projection of 16 rows of 32 onto 96.
    ("Attention", "float[1, 16, 32], float[32, 96], float[96] -> float[1, 16, 32]",
     2 * 16 * 32 * 96 + 4 * 16 * 16 * 32, 4 * (512 + 3072 + 96 + 512)),
    # 10 steps of a batch of 2, with weights 4 * 6 by 5 and by 6.
    ("LSTM", "float[10, 2, 5], float[1, 24, 5], float[1, 24, 6], float[1, 48] -> "
     "float[10, 1, 2, 6]", 2 * 20 * 24 * 11, 4 * (100 + 120 + 144 + 48 + 120)),
    ("GRU", "float[10, 2, 5], float[1, 18, 5], float[1, 18, 6] -> float[10, 1, 2, 6]",
     2 * 20 * 18 * 11, 4 * (100 + 90 + 108 + 120)),
    ("Add", "float[2, 8], float[8] -> float[2, 8]", 16, 4 * 40),
    ("aten::gelu", "double[4] -> double[4]", 4, 64),
    ("Softmax", "float[2, 8] -> float[2, 8]", 80, 128),
    ("LayerNormalization", "float[2, 8], float[8], float[8] -> float[2, 8]", 128, 192),
    ("BatchNormalization", "float[1, 2, 2], float[2] -> float[1, 2, 2]", 8, 40),
    ("ReduceSum", "float[4, 8], int64[1] -> float[4]", 32, 152),
    ("GlobalAveragePool", "float[1, 2, 4, 4] -> float[1, 2, 1, 1]", 32, 136),
    ("MaxPool", "float[1, 2, 4, 4] -> float[1, 2, 2, 2] window [2, 2]", 32, 160),
    ("Transpose", "float[2, 8] -> float[8, 2]", 0, 128),
    ("Cast", "float[8] -> float16[8]", 0, 48),
    # Rows that are read, not the table.
    ("Gather", "float[1000, 8], int64[3] -> float[3, 8]", 0, 2 * 96 + 24),
    ("aten::embedding", "float[1000, 8], long int[3] -> float[3, 8]", 0, 2 * 96 + 24),
]  # fmt: skip


@pytest.mark.parametrize(("op_type", "shapes", "flops", "moved"), BY_HAND)
def test_by_hand(op_type: str, shapes: str, flops: float, moved: float) -> None:
    assert work_of(op_type, shapes) == (flops, moved)


@pytest.mark.parametrize(
    ("op_type", "shapes"),
    [
        ("NobodyKnows", "float[8] -> float[8]"),
        ("Reshape", "float[8], int64[1] -> float[8]"),
        ("aten::permute", "float[2, 8]"),
        ("aten::conv2d", "float[1, 3, 8, 8], float[6, 3, 3, 3]"),
        ("MaxPool", "float[1, 2, 4, 4] -> float[1, 2, 2, 2]"),
        ("MatMul", ""),
        ("Conv", "float[8] -> float[8]"),
        ("Gemm", "float[4, 64] -> float[7, 10]"),
    ],
)
def test_what_is_not_known_is_not_zero(op_type: str, shapes: str) -> None:
    assert work_of(op_type, shapes).flops is None


def test_bytes_need_every_dtype() -> None:
    assert work_of("Concat", "string[2], string[2] -> string[4]") == (0, None)
    assert work_of("aten::cat", "tensor[2], tensor[2] -> tensor[4]") == (0, None)


def test_shapes_are_read_back() -> None:
    found = parse_shapes("long int[2, 3], float[] -> c10::Half[6] window [3, 3]")
    inputs = (Tensor("long int", (2, 3)), Tensor("float", ()))
    assert found == Shapes(inputs, (Tensor("c10::Half", (6,)),), (3, 3))
    assert parse_shapes("") == Shapes(())


def convolutions() -> tuple[torch.nn.Module, torch.Tensor]:
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=4, dilation=2),
        nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(10),
    ), torch.randn(2, 3, 32, 32)


def encoder() -> tuple[torch.nn.Module, torch.Tensor]:
    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = torch.nn.Linear(32, 96), torch.nn.Linear(32, 32)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = self.qkv(x).reshape(2, 16, 3, 4, 8).permute(2, 0, 3, 1, 4).unbind(0)
            y = torch.nn.functional.scaled_dot_product_attention(q, k, v)
            z: torch.Tensor = self.out(y.transpose(1, 2).reshape(2, 16, 32))
            return torch.softmax(z @ x.transpose(1, 2), -1) @ x

    return torch.nn.Sequential(Block(), torch.nn.LayerNorm(32), Block()), torch.randn(2, 16, 32)


def bert() -> tuple[torch.nn.Module, torch.Tensor]:
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    return BertModel(config), torch.randint(0, 50, (2, 16))


@pytest.mark.parametrize("build", [convolutions, encoder, bert])
def test_pytorchs_own_counter_says_the_same(
    build: Callable[[], tuple[torch.nn.Module, torch.Tensor]],
) -> None:
    """It counts products, convolutions and attention alone."""
    module, x = build()
    module.eval()
    with torch.inference_mode():
        module(x)
        # The CPU's own attention kernel isn't in its table; the parts of it are.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            module(x)
        ops = trace_module(module, [x], "cpu", iterations=1, warmup=0).ops
    counted = ("linear", "matmul", "mm", "bmm", "addmm", "conv", "attention")
    own = [work_of(op.op_type, op.shapes) for op in ops if any(k in op.op_type for k in counted)]
    assert own
    assert sum(work.flops or 0 for work in own) == counter.get_total_flops() > 0
    assert all(work.moved_bytes for work in own)
