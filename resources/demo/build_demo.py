"""Build demo.onnx: a small vision classifier with convolutions and attention, random weights."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from torch import nn

SEED = 7
CLASSES = 10


class Residual(nn.Module):
    """Two convolutions around a shortcut, halving the image."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class Block(nn.Module):
    """A transformer encoder layer, normalized first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.heads = heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attention = torch.softmax(q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5, -1)
        x = x + self.out((attention @ v).transpose(1, 2).reshape(batch, length, width))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


class Demo(nn.Module):
    """[batch, 3, 96, 96] -> [batch, 10] logits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, stride=2, padding=1)
        self.stage1, self.stage2 = Residual(24, 48), Residual(48, 64)
        self.blocks = nn.Sequential(Block(64, 4), Block(64, 4))
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, CLASSES)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.stage2(self.stage1(torch.relu(self.stem(image))))
        x = self.blocks(x.flatten(2).transpose(1, 2))
        return self.head(self.norm(x).mean(1))


def build(path: Path) -> None:
    """Write the demo model."""
    torch.manual_seed(SEED)
    model = Demo().eval()
    batch = torch.export.Dim("batch", min=1, max=256)
    torch.onnx.export(
        model,
        (torch.randn(2, 3, 96, 96),),
        str(path),
        dynamo=True,
        external_data=False,
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes={"image": {0: batch}},
        verbose=False,
    )
    leave_out_stack_traces(path)


def leave_out_stack_traces(path: Path) -> None:
    """They name files of the machine on which the model was made."""
    model = onnx.load(path)
    for node in (*model.graph.node, *(node for f in model.functions for node in f.node)):
        kept = [entry for entry in node.metadata_props if not entry.key.endswith("stack_trace")]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, path)


if __name__ == "__main__":
    build(Path(__file__).with_name("demo.onnx"))
