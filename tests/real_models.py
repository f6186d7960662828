"""ResNet-50 and BERT as files of every kind: true architectures, random weights."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import BertConfig, BertModel, ResNetConfig, ResNetForImageClassification

SMALL_BERT_VOCABULARY = 1000
BASE_BERT_VOCABULARY = 30522


class ImageClassifier(torch.nn.Module):
    """ResNet: an image to logits."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model: Any = ResNetForImageClassification(config)

    def forward(self, pixel_values: torch.Tensor) -> Any:
        return self.model(pixel_values=pixel_values).logits


class TextEncoder(torch.nn.Module):
    """BERT: tokens to the last hidden state and the pooled first token."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model: Any = BertModel(config)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        found = self.model(input_ids=input_ids, attention_mask=attention_mask)
        return found.last_hidden_state, found.pooler_output


def resnet50() -> torch.nn.Module:
    """25.6 million parameters, takes [batch, 3, height, width]."""
    return ImageClassifier(ResNetConfig()).eval()


def small_resnet() -> torch.nn.Module:
    """As ResNet-50, with one block in place of three to six a stage."""
    return ImageClassifier(ResNetConfig(depths=[1, 1, 1, 1])).eval()


def small_bert() -> torch.nn.Module:
    """Two layers, 128 wide."""
    config = BertConfig(
        vocab_size=SMALL_BERT_VOCABULARY,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=512,
    )
    return TextEncoder(config).eval()


def base_bert() -> torch.nn.Module:
    """Twelve layers, 768 wide: 109 million parameters."""
    return TextEncoder(BertConfig()).eval()


def image(size: int = 224) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    return (torch.randn(2, 3, size, size),)


def tokens(vocabulary: int = SMALL_BERT_VOCABULARY) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    return torch.randint(0, vocabulary, (2, 32)), torch.ones(2, 32, dtype=torch.int64)


def resnet_shapes() -> tuple[dict[int, Any], ...]:
    """A dynamic batch."""
    return ({0: torch.export.Dim("batch", min=1, max=64)},)


def bert_shapes() -> tuple[dict[int, Any], ...]:
    """A dynamic batch and a dynamic sequence, the same for tokens and mask."""
    batch = torch.export.Dim("batch", min=1, max=64)
    sequence = torch.export.Dim("sequence", min=2, max=512)
    return ({0: batch, 1: sequence}, {0: batch, 1: sequence})


def as_onnx(module: torch.nn.Module, example: tuple[Any, ...], shapes: Any, path: Path) -> Path:
    """Through torch.export."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            example,
            str(path),
            dynamo=True,
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
        )
    return path


def as_older_onnx(
    module: torch.nn.Module,
    example: tuple[torch.Tensor, ...],
    names: list[str],
    axes: dict[int, str],
    path: Path,
) -> Path:
    """Through TorchScript, as exporters up to 2024 wrote it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            example,
            str(path),
            dynamo=False,
            input_names=names,
            output_names=["last_hidden_state", "pooler_output"][: len(names)],
            dynamic_axes=dict.fromkeys(names, axes),
            opset_version=17,
        )
    return path


def as_torchscript(module: torch.nn.Module, example: tuple[torch.Tensor, ...], path: Path) -> Path:
    """Traced."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        traced: Any = torch.jit.trace(module, example, strict=False)
        traced.save(str(path))
    return path


def as_program(
    module: torch.nn.Module, example: tuple[torch.Tensor, ...], shapes: Any, path: Path
) -> Path:
    """`torch.export` to a .pt2."""
    program = torch.export.export(module, example, dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path
