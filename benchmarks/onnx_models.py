"""Small true architectures with random weights, as ONNX files of both exporters."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers as hf
from transformers.cache_utils import DynamicCache

VOCABULARY = 200
Inputs = dict[str, torch.Tensor]


class Wrapped(torch.nn.Module):
    """A `transformers` model that takes tensors in order and gives a tuple of tensors."""

    def __init__(self, model: Any, names: list[str], outputs: list[str], fixed: Any = None) -> None:
        super().__init__()
        self.model = model.eval()
        self._names, self._outputs, self._fixed = names, outputs, fixed or {}

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = dict(zip(self._names, tensors, strict=True))
        found = self.model(**given, **self._fixed)
        return tuple(getattr(found, name) for name in self._outputs)


class WithCache(torch.nn.Module):
    """One step of a decoder: tokens and each layer's keys and values in, and out again."""

    def __init__(self, model: Any, layers: int) -> None:
        super().__init__()
        self.model = model.eval()
        self._layers = layers

    def forward(self, ids: torch.Tensor, *past: torch.Tensor) -> tuple[torch.Tensor, ...]:
        pairs = [(past[2 * i], past[2 * i + 1]) for i in range(self._layers)]
        found = self.model(input_ids=ids, past_key_values=DynamicCache(pairs), use_cache=True)
        layers = found.past_key_values.layers
        return (found.logits, *(t for layer in layers for t in (layer.keys, layer.values)))


@dataclass(frozen=True)
class Model:
    """A module with example inputs; `dynamic` has the axes that may change, by input."""

    module: torch.nn.Module
    inputs: Inputs
    dynamic: dict[str, dict[int, str]] = field(default_factory=dict)


def _ids(batch: int = 2, length: int = 12) -> torch.Tensor:
    return torch.randint(0, VOCABULARY, (batch, length))


def _image(size: int = 64) -> torch.Tensor:
    return torch.randn(2, 3, size, size)


def _vision(model: Any, outputs: list[str], size: int = 64) -> Model:
    module = Wrapped(model, ["pixel_values"], outputs)
    return Model(module, {"pixel_values": _image(size)}, {"pixel_values": {0: "batch"}})


def _text(model: Any, outputs: list[str], fixed: Any = None) -> Model:
    ids = _ids()
    mask = torch.ones_like(ids)
    mask[0, 9:] = 0
    names = ["input_ids", "attention_mask"]
    axes = {0: "batch", 1: "sequence"}
    return Model(
        Wrapped(model, names, outputs, fixed),
        dict(zip(names, (ids, mask), strict=True)),
        {name: dict(axes) for name in names},
    )


def resnet() -> Model:
    return _vision(
        hf.ResNetForImageClassification(hf.ResNetConfig(depths=[1, 1, 1, 1])), ["logits"]
    )


def mobilenet(size: int = 64) -> Model:
    return _vision(hf.MobileNetV2ForImageClassification(hf.MobileNetV2Config()), ["logits"], size)


def convnext() -> Model:
    config = hf.ConvNextConfig(hidden_sizes=[16, 32, 64, 128], depths=[1, 1, 2, 1])
    return _vision(hf.ConvNextForImageClassification(config), ["logits"])


def vit() -> Model:
    config = hf.ViTConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        image_size=64,
        patch_size=16,
    )
    return _vision(hf.ViTForImageClassification(config), ["logits"])


def yolos() -> Model:
    config = hf.YolosConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        image_size=[64, 64],
        num_detection_tokens=10,
        use_mid_position_embeddings=False,
    )
    return _vision(hf.YolosForObjectDetection(config), ["logits", "pred_boxes"])


def bert(width: int = 64, layers: int = 2, heads: int = 4, inner: int = 128) -> Model:
    config = hf.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
    )
    return _text(hf.BertModel(config), ["last_hidden_state", "pooler_output"])


def distilbert() -> Model:
    config = hf.DistilBertConfig(
        vocab_size=VOCABULARY, dim=64, n_layers=2, n_heads=4, hidden_dim=128
    )
    return _text(hf.DistilBertModel(config), ["last_hidden_state"])


def t5_encoder() -> Model:
    config = hf.T5Config(
        vocab_size=VOCABULARY, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4
    )
    return _text(hf.T5EncoderModel(config), ["last_hidden_state"])


def _gpt2_config() -> Any:
    return hf.GPT2Config(vocab_size=VOCABULARY, n_embd=64, n_layer=2, n_head=4, n_positions=64)


def gpt2() -> Model:
    return _text(hf.GPT2LMHeadModel(_gpt2_config()), ["logits"], {"use_cache": False})


def _llama_config() -> Any:
    return hf.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )


def llama() -> Model:
    return _text(hf.LlamaForCausalLM(_llama_config()), ["logits"], {"use_cache": False})


def _cached(model: Any, layers: int, heads: int, size: int) -> Model:
    inputs = {"ids": _ids(2, 3)}
    for layer in range(layers):
        for kind in ("key", "value"):
            inputs[f"past_{layer}_{kind}"] = torch.randn(2, heads, 5, size)
    dynamic = {name: {0: "batch", 2: "past"} for name in inputs if name != "ids"}
    return Model(WithCache(model, layers), inputs, {"ids": {0: "batch", 1: "new"}, **dynamic})


def gpt2_with_cache() -> Model:
    return _cached(hf.GPT2LMHeadModel(_gpt2_config()), 2, 4, 16)


def llama_with_cache() -> Model:
    return _cached(hf.LlamaForCausalLM(_llama_config()), 2, 2, 16)


def whisper_encoder() -> Model:
    config = hf.WhisperConfig(
        d_model=64,
        encoder_layers=2,
        encoder_attention_heads=4,
        encoder_ffn_dim=128,
        decoder_layers=1,
        decoder_attention_heads=4,
        num_mel_bins=16,
        max_source_positions=50,
    )
    module = Wrapped(hf.WhisperModel(config).encoder, ["input_features"], ["last_hidden_state"])
    return Model(
        module, {"input_features": torch.randn(2, 16, 100)}, {"input_features": {0: "batch"}}
    )


class Lstm(torch.nn.Module):
    """Two LSTM layers, one of both directions, and a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(16, 24, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = torch.nn.GRU(48, 12, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.gru(self.lstm(x)[0])[0]
        return found


def lstm() -> Model:
    return Model(Lstm().eval(), {"x": torch.randn(2, 9, 16)}, {"x": {0: "batch"}})


class Detector(torch.nn.Module):
    """What detectors end with: upsampling, boxes, the best of them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.head = torch.nn.Conv2d(8, 6, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        low = torch.nn.functional.silu(self.stem(x))
        high = torch.nn.functional.interpolate(low, scale_factor=2.0, mode="nearest")
        found = self.head(high).flatten(2).transpose(1, 2)
        scores, places = found[..., 4].topk(20, dim=1)
        boxes = torch.gather(found[..., :4], 1, places[..., None].expand(-1, -1, 4))
        return boxes.sigmoid(), scores


def detector() -> Model:
    return Model(Detector().eval(), {"x": _image(32)}, {"x": {0: "batch"}})


MODELS: dict[str, Callable[[], Model]] = {
    "ResNet": resnet,
    "MobileNetV2": mobilenet,
    "ConvNeXt": convnext,
    "ViT": vit,
    "YOLOS": yolos,
    "BERT": bert,
    "DistilBERT": distilbert,
    "T5 encoder": t5_encoder,
    "GPT-2": gpt2,
    "GPT-2 with cache": gpt2_with_cache,
    "Llama": llama,
    "Llama with cache": llama_with_cache,
    "Whisper encoder": whisper_encoder,
    "LSTM and GRU": lstm,
    "detector's end": detector,
}
# Those that the older exporter takes as well.
OLDER = (
    "ResNet",
    "MobileNetV2",
    "ConvNeXt",
    "ViT",
    "BERT",
    "GPT-2",
    "LSTM and GRU",
    "detector's end",
)


def build(name: str) -> Model:
    """The same weights and inputs each time."""
    torch.manual_seed(0)
    return MODELS[name]()


def export(model: Model, path: Path, *, newer: bool, optimize: bool = True) -> Path:
    """Write the ONNX file, with the model's dynamic axes; `optimize`: what the newer one does."""
    named: dict[str, Any] = {"input_names": list(model.inputs)}
    if newer:
        # Inputs of the wrapper are one tuple of tensors.
        shapes = [dict(model.dynamic.get(name, {})) for name in model.inputs]
        named["dynamic_shapes"] = _by_signature(model.module, shapes)
        named |= {"external_data": False, "verbose": False, "dynamo": True, "optimize": optimize}
    else:
        named |= {"dynamic_axes": model.dynamic, "dynamo": False}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(model.module, tuple(model.inputs.values()), str(path), **named)
    return path


def _by_signature(module: torch.nn.Module, axes: list[dict[int, str]]) -> Any:
    shapes = [dict.fromkeys(axis, torch.export.Dim.DYNAMIC) for axis in axes]
    match module:
        case Wrapped():
            return (tuple(shapes),)
        case WithCache():
            return (shapes[0], tuple(shapes[1:]))
    return tuple(shapes)
