"""Small real models as ONNX bytes, each built once a test session."""

from __future__ import annotations

import io
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper

OPSET = 20


@cache
def resnet() -> bytes:
    """A ResNet with bottlenecks: input "pixels" [batch, 3, 64, 64], output "logits"."""
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        embedding_size=64,
        hidden_sizes=[64, 128],
        depths=[1, 1],
        layer_type="bottleneck",
        downsample_in_first_stage=False,
    )
    config.num_labels = 10
    torch.manual_seed(1)
    model = _Logits(ResNetForImageClassification(config))
    return _exported(model, {"pixels": torch.randn(2, 3, 64, 64)})


@cache
def bert() -> bytes:
    """A BERT with two layers: inputs "ids" and "mask" [batch, 16], output "logits"."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
    )
    config.num_labels = 3
    torch.manual_seed(2)
    model = _Logits(BertForSequenceClassification(config))
    ids = torch.randint(0, 100, (2, 16))
    return _exported(model, {"ids": ids, "mask": torch.ones_like(ids)})


def demo() -> bytes:
    """The bundled model, from the newer exporter: input "image" [batch, 3, 96, 96]."""
    return (Path(__file__).parents[3] / "resources" / "demo" / "demo.onnx").read_bytes()


def mlp() -> bytes:
    """Two named layers: input "x" [1, 8], output "y" [1, 4]; weights of 8 x 4 and 4 x 4."""
    torch.manual_seed(3)
    first, second = torch.randn(8, 4).numpy(), torch.randn(4, 4).numpy()
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["hidden"], name="layer/first"),
        helper.make_node("Relu", ["hidden"], ["active"], name="layer/relu"),
        helper.make_node("MatMul", ["active", "second"], ["y"], name="layer/second"),
    ]
    weights = [
        onnx.numpy_helper.from_array(first, "first"),
        onnx.numpy_helper.from_array(second, "second"),
    ]
    return model_bytes(nodes, {"x": [1, 8]}, {"y": [1, 4]}, weights)


def model_bytes(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int]],
    outputs: dict[str, list[int]],
    weights: list[TensorProto] | None = None,
    functions: list[onnx.FunctionProto] | None = None,
    opset: int = OPSET,
) -> bytes:
    """A model of float32 inputs and outputs around nodes; any further domain is imported."""
    values = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, dims) for n, dims in group.items()]
        for group in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "test", values[0], values[1], initializer=weights or [])
    domains = {node.domain for node in nodes if node.domain}
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(
        graph, opset_imports=imports, ir_version=10, functions=functions or []
    )
    return bytes(model.SerializeToString())


def write(content: bytes, folder: Path, name: str = "model.onnx") -> Path:
    """The file with that content."""
    path = folder / name
    path.write_bytes(content)
    return path


class _Logits(torch.nn.Module):
    """The logits alone, as a tensor."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model.eval()

    def forward(self, first: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        logits: torch.Tensor
        if mask is None:
            logits = self.model(first).logits
        else:
            logits = self.model(input_ids=first, attention_mask=mask).logits
        return logits


def _exported(model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> bytes:
    """Through the older exporter, which takes a second; with a dynamic batch."""
    buffer: Any = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            tuple(inputs.values()),
            buffer,
            dynamo=False,
            input_names=list(inputs),
            output_names=["logits"],
            dynamic_axes={name: {0: "batch"} for name in inputs},
            opset_version=17,
        )
    return bytes(buffer.getvalue())
