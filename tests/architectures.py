"""Well-known architectures as modules with random weights: small ones, and in their true sizes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from transformers.models.whisper.modeling_whisper import WhisperEncoder

INPUT = "x"
Sized = tuple[torch.nn.Module, torch.Tensor]


class OneOutput(torch.nn.Module):
    """A transformers model as a function of one tensor to one tensor."""

    def __init__(self, model: Any, takes: str, gives: str, **always: Any) -> None:
        super().__init__()
        self.model = model
        self._takes, self._gives, self._always = takes, gives, always

    def forward(self, x: torch.Tensor) -> Any:
        return getattr(self.model(**{self._takes: x}, **self._always), self._gives)


def resnet50(small: bool) -> Sized:
    config = transformers.ResNetConfig(depths=[1, 1, 1, 1] if small else [3, 4, 6, 3])
    model = transformers.ResNetForImageClassification(config)
    return OneOutput(model, "pixel_values", "logits"), _image(96 if small else 224)


def mobilenet_v2(small: bool) -> Sized:
    model = transformers.MobileNetV2ForImageClassification(transformers.MobileNetV2Config())
    return OneOutput(model, "pixel_values", "logits"), _image(96 if small else 224)


def vit(small: bool) -> Sized:
    more: dict[str, Any] = {"image_size": 96} if small else {}
    config = transformers.ViTConfig(**_width(small), **more)
    model = transformers.ViTForImageClassification(config)
    return OneOutput(model, "pixel_values", "logits"), _image(96 if small else 224)


def bert_base(small: bool) -> Sized:
    config = transformers.BertConfig(vocab_size=1000 if small else 30522, **_width(small))
    return OneOutput(transformers.BertModel(config), "input_ids", "last_hidden_state"), _ids(small)


def gpt2(small: bool) -> Sized:
    size: dict[str, Any] = (
        {"n_embd": 128, "n_layer": 2, "n_head": 4, "vocab_size": 1000} if small else {}
    )
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**size))
    return OneOutput(model, "input_ids", "logits", use_cache=False), _ids(small)


def t5_encoder(small: bool) -> Sized:
    size: dict[str, Any] = {
        "d_model": 128,
        "d_kv": 32,
        "num_heads": 4,
        "num_layers": 2,
        "d_ff": 256,
    }
    config = transformers.T5Config(**(size | {"vocab_size": 1000} if small else {}))
    model = transformers.T5EncoderModel(config)
    return OneOutput(model, "input_ids", "last_hidden_state"), _ids(small)


def whisper_encoder(small: bool) -> Sized:
    size: dict[str, Any] = {"d_model": 128, "encoder_layers": 2, "encoder_attention_heads": 4}
    more = size | {"encoder_ffn_dim": 256, "max_source_positions": 100}
    config = transformers.WhisperConfig(**(more if small else {}))
    frames = 200 if small else 3000
    model = WhisperEncoder(config)
    return OneOutput(model, "input_features", "last_hidden_state"), torch.randn(1, 80, frames)


ARCHITECTURES: dict[str, Callable[[bool], Sized]] = {
    "ResNet-50": resnet50,
    "MobileNetV2": mobilenet_v2,
    "ViT": vit,
    "BERT-base": bert_base,
    "GPT-2": gpt2,
    "T5 encoder": t5_encoder,
    "Whisper encoder": whisper_encoder,
}


def build(name: str, *, small: bool) -> Sized:
    """The module in evaluation mode, and an input; always the same weights."""
    torch.manual_seed(0)
    module, example = ARCHITECTURES[name](small)
    return module.eval(), example


def save(name: str, folder: Path, *, small: bool) -> tuple[Path, Path]:
    """As ONNX, and as a program of torch.export."""
    module, example = build(name, small=small)
    stem = name.lower().replace(" ", "-")
    onnx_path, program_path = folder / f"{stem}.onnx", folder / f"{stem}.pt2"
    # Without gradients: exporters else refuse T5's views of views.
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module, (example,)), program_path)
        torch.onnx.export(
            module,
            (example,),
            str(onnx_path),
            dynamo=True,
            external_data=False,
            input_names=[INPUT],
            verbose=False,
        )
    return onnx_path, program_path


def _width(small: bool) -> dict[str, Any]:
    if not small:
        return {}
    return {
        "hidden_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 256,
    }


def _image(size: int) -> torch.Tensor:
    return torch.randn(1, 3, size, size)


def _ids(small: bool) -> torch.Tensor:
    return torch.randint(0, 1000, (1, 32 if small else 128))
