"""Models with a fault in one known layer, for naming that layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch

SIDE = 8


class Small(torch.nn.Module):
    """Convolutions with a branch, a transformer layer, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.bn1 = torch.nn.BatchNorm2d(8)
        self.conv2 = torch.nn.Conv2d(8, 8, 3, padding=1)
        self.mixer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.fc = torch.nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.conv2(x) + x)
        found: torch.Tensor = self.fc(self.mixer(x.flatten(2).transpose(1, 2)).mean(1))
        return found


def export_small(folder: Path) -> Path:
    """The model as ONNX; beside it the exported program, `small.pt2`."""
    torch.manual_seed(0)
    module, x = Small().eval(), torch.randn(1, 3, SIDE, SIDE)
    torch.export.save(torch.export.export(module, (x,)), folder / "small.pt2")
    torch.onnx.export(
        module, (x,), folder / "small.onnx", dynamo=True, external_data=False, verbose=False
    )
    return folder / "small.onnx"


def with_fault(path: Path, weight: str) -> Path:
    """A copy of an ONNX file in which one number of a weight is off by one."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name == weight:
            values = onnx.numpy_helper.to_array(tensor).copy()
            values.flat[0] += 1
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, weight))
            target = path.with_name(f"{path.stem}-{weight}.onnx")
            onnx.save(model, target)
            return target
    raise KeyError(weight)


def dense_chain(path: Path, layers: int = 4) -> Path:
    """MatMul and Relu in turns, `layers` times; weights `w0`, `w1` and so on."""
    random = np.random.default_rng(0)
    make = onnx.helper
    nodes, weights, last = [], [], "x"
    for number in range(layers):
        weight = (random.standard_normal((16, 16)) / 4).astype(np.float32)
        weights.append(onnx.numpy_helper.from_array(weight, f"w{number}"))
        nodes.append(make.make_node("MatMul", [last, f"w{number}"], [f"m{number}"]))
        last = f"r{number}"
        nodes.append(make.make_node("Relu", [f"m{number}"], [last]))
    shape = make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4, 16])
    result = make.make_tensor_value_info(last, onnx.TensorProto.FLOAT, [4, 16])
    graph = make.make_graph(nodes, "chain", [shape], [result], weights)
    opsets = [make.make_opsetid("", 17)]
    onnx.save(make.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path
