"""What an operator does, told alike for ONNX, ONNX Runtime's fused operators and PyTorch."""

from __future__ import annotations

import re

# Kind -> its display name, and the operators of it: ONNX's names, then PyTorch's (without "aten::",
# underscores at either end).
_KINDS: dict[str, tuple[str, str]] = {
    "matmul": (
        "MatMul",
        "MatMul Gemm FusedMatMul FusedGemm MatMulInteger MatMulIntegerToFloat QLinearMatMul "
        "DynamicQuantizeMatMul MatMulNBits QGemm TransposeMatMul "
        "matmul mm bmm baddbmm addmm addbmm linear mv dot",
    ),
    "conv": (
        "Conv",
        "Conv FusedConv NhwcFusedConv ConvInteger QLinearConv "
        "conv1d conv2d conv3d convolution mkldnn_convolution",
    ),
    "conv_transpose": (
        "ConvTranspose",
        "ConvTranspose conv_transpose1d conv_transpose2d conv_transpose3d",
    ),
    "batch_norm": (
        "BN",
        "BatchNormalization batch_norm native_batch_norm native_batch_norm_legit_no_training",
    ),
    "layer_norm": (
        "LayerNorm",
        "LayerNormalization SkipLayerNormalization EmbedLayerNormalization "
        "layer_norm native_layer_norm",
    ),
    "rms_norm": (
        "RMSNorm",
        "RMSNormalization SimplifiedLayerNormalization SkipSimplifiedLayerNormalization rms_norm",
    ),
    "group_norm": ("GroupNorm", "GroupNormalization GroupNorm group_norm native_group_norm"),
    "attention": (
        "Attention",
        "Attention MultiHeadAttention GroupQueryAttention QAttention "
        "scaled_dot_product_attention scaled_dot_product_flash_attention_for_cpu",
    ),
    "softmax": ("Softmax", "Softmax QLinearSoftmax softmax safe_softmax log_softmax LogSoftmax"),
    "relu": ("ReLU", "Relu relu"),
    "gelu": ("GELU", "Gelu FastGelu BiasGelu QuickGelu gelu"),
    "silu": ("SiLU", "Swish silu"),
    "hardswish": ("HardSwish", "HardSwish hardswish"),
    "sigmoid": ("Sigmoid", "Sigmoid QLinearSigmoid sigmoid HardSigmoid hardsigmoid"),
    "tanh": ("Tanh", "Tanh tanh"),
    "clip": ("Clip", "Clip clamp hardtanh relu6 clamp_min clamp_max"),
    "add": ("Add", "Add Sum QLinearAdd add"),
    "sub": ("Sub", "Sub sub rsub"),
    "mul": ("Mul", "Mul QLinearMul mul"),
    "div": ("Div", "Div div"),
    "pow": ("Pow", "Pow pow square"),
    "max_pool": ("MaxPool", "MaxPool max_pool1d max_pool2d max_pool3d"),
    "mean": (
        "AveragePool",
        "AveragePool GlobalAveragePool QLinearAveragePool QLinearGlobalAveragePool ReduceMean "
        "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d mean",
    ),
    "gather": ("Gather", "Gather GatherElements GatherND embedding gather index index_select"),
    "concat": ("Concat", "Concat QLinearConcat cat stack concat"),
    "split": ("Split", "Split SplitToSequence split split_with_sizes chunk unbind"),
    "slice": ("Slice", "Slice slice narrow select"),
    "where": ("Where", "Where where masked_fill"),
    "lstm": ("LSTM", "LSTM DynamicQuantizeLSTM lstm"),
    "gru": ("GRU", "GRU gru"),
    # From here on: moves, views and shapes, which are there for another operator's sake.
    "view": (
        "Reshape",
        "Reshape Flatten Squeeze Unsqueeze view reshape unsafe_view flatten unflatten squeeze "
        "unsqueeze view_as detach alias",
    ),
    "transpose": ("Transpose", "Transpose transpose permute t numpy_T movedim swapaxes"),
    "expand": ("Expand", "Expand Tile expand expand_as repeat broadcast_to"),
    "cast": ("Cast", "Cast CastLike to to_copy type_as float half"),
    "copy": (
        "Identity",
        "Identity contiguous clone lift_fresh_copy copy resolve_conj",
    ),
    "dropout": ("Dropout", "Dropout dropout native_dropout feature_dropout"),
    "shape": ("Shape", "Shape Size sym_size scalar_tensor"),
    "constant": (
        "Constant",
        "Constant ConstantOfShape Range "
        "arange full full_like zeros zeros_like ones ones_like empty",
    ),
    "quantize": (
        "Quantize",
        "QuantizeLinear DequantizeLinear DynamicQuantizeLinear quantize_per_tensor dequantize",
    ),
    "layout": ("Reorder", "ReorderInput ReorderOutput NhwcToNchw as_strided"),
    "pad": ("Pad", "Pad pad constant_pad_nd"),
    "memcpy": ("Memcpy", "MemcpyToHost MemcpyFromHost"),
}
# These ones; "pad" prepares a convolution, which takes padding in itself as well.
GLUE = frozenset(
    {"view", "transpose", "expand", "cast", "copy", "dropout", "shape", "constant", "quantize"}
    | {"layout", "memcpy", "pad", "assert_tensor_metadata"}
)
_BY_NAME = {name: kind for kind, (_, names) in _KINDS.items() for name in names.split()}


# What a kernel that torch.compile made is called by, if it does several things.
_LEADING = (
    "convolution",
    "addmm",
    "bmm",
    "mm",
    "native_layer_norm",
    "softmax",
    "gelu",
    "max_pool2d",
)
_GENERATED = re.compile(r"graph_\d+_(?:cpp|triton)\w*?_fused_(\w*?)_?\d+$")


def kind_of(op_type: str) -> str:
    """`com.microsoft::FusedConv`, `Conv`, `aten::conv2d` -> `conv`; unknown ones in lower case."""
    name = op_type.rpartition("::")[2]
    if generated := _GENERATED.match(name):
        name = _leading_part(generated[1])
    known = _BY_NAME.get(name) or _BY_NAME.get(name.strip("_"))
    return known or name.strip("_").lower()


def _leading_part(names: str) -> str:
    """`add_native_layer_norm_view` -> `native_layer_norm`; else the first that is known."""
    padded = f"_{names.strip('_')}_"
    for name in _LEADING:
        if f"_{name}_" in padded or f"_{name}_with" in padded:
            return name
    known = [part for part in names.split("_") if part in _BY_NAME]
    computing = [part for part in known if _BY_NAME[part] not in GLUE]
    return (computing or known or [names])[0]


def display_name(kind: str) -> str:
    """`batch_norm` -> `BN`; of unknown kinds, the kind itself."""
    return _KINDS[kind][0] if kind in _KINDS else kind
