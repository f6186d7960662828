"""Which inputs and outputs are the cache, by each convention."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from profiler.errors import EngineError, ModelFileError
from profiler.generation.cache_layout import find_layout, read_layout
from profiler.generation.folder import folder_files, folder_layout
from profiler.model_file import identify
from profiler.onnx_inspection import declared_tensors
from profiler.types import CacheLayout, ModelKind
from tests import language_models
from tests.language_models import ModelFile

PARTS = [f"{layer}.{part}" for layer in range(2) for part in ("key", "value")]


def test_optimum_names(model_file: ModelFile) -> None:
    layout = read_layout(model_file("optimum", "llama"))
    assert layout.convention == "Optimum" and not layout.shared_buffer
    assert [t.past for t in layout.cache] == [f"past_key_values.{part}" for part in PARTS]
    assert [t.present for t in layout.cache] == [f"present.{part}" for part in PARTS]
    assert {t.axis for t in layout.cache} == {2}
    assert (layout.layers, layout.heads, layout.head_size) == (2, 2, 8)
    assert layout.vocabulary == language_models.VOCABULARY
    assert layout.roles == {"attention_mask": "attention_mask", "position_ids": "position_ids"}


def test_the_exporters_own_names(model_file: ModelFile) -> None:
    """Outputs are called cat_7 and the like: the graph tells which continues which."""
    path = model_file("dynamo", "gpt2")
    layout = read_layout(path)
    assert layout.convention == "PyTorch's exporter"
    assert [t.past for t in layout.cache] == ["past_0_0", "past_0_1", "past_1_0", "past_1_1"]
    outputs = [value.name for value in onnx.load(str(path)).graph.output]
    assert [layout.logits, *(t.present for t in layout.cache)] == outputs
    assert layout.heads == language_models.HEADS


def test_grouped_query_attention_shares_its_buffer(tmp_path: Path) -> None:
    layout = read_layout(language_models.genai_file(tmp_path))
    assert layout.convention == "onnxruntime-genai" and layout.shared_buffer
    assert (layout.heads, layout.head_size) == (language_models.CACHE_HEADS, 16)


def _layout(*inputs: tuple[str, list[str | int]]) -> tuple[CacheLayout | None, str]:
    """Of a graph with these inputs, whose outputs are logits and a longer cache."""
    value = helper.make_tensor_value_info
    whole = ("ids", "mask")
    graph = helper.make_graph(
        [
            helper.make_node("Concat", ["past.0.key", "past.0.key"], ["present.0.key"], axis=2),
            helper.make_node("Identity", ["past.0.value"], ["present.0.value"]),
        ],
        "g",
        [
            value(n, TensorProto.INT64 if n.endswith(whole) else TensorProto.FLOAT, shape)
            for n, shape in inputs
        ],
        [
            value("logits", TensorProto.FLOAT, ["batch", "sequence", 64]),
            value("present.0.key", TensorProto.FLOAT, ["batch", 2, "total", 8]),
            value("present.0.value", TensorProto.FLOAT, ["batch", 2, "total", 8]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    return find_layout(model, *declared_tensors(graph))


CACHE: list[tuple[str, list[str | int]]] = [
    ("past.0.key", ["batch", 2, "past", 8]),
    ("past.0.value", ["batch", 2, "past", 8]),
]
IDS: tuple[str, list[str | int]] = ("input_ids", ["batch", "sequence"])


def test_short_names_and_another_axis() -> None:
    layout, note = _layout(IDS, *CACHE)
    assert layout is not None and not note
    assert [t.present for t in layout.cache] == ["present.0.key", "present.0.value"]
    turned: list[tuple[str, list[str | int]]] = [
        ("past.0.key", ["batch", "past", 2, 8]),
        ("past.0.value", ["batch", "past", 2, 8]),
    ]
    other, _ = _layout(IDS, *turned)
    assert other is not None and {t.axis for t in other.cache} == {1} and other.heads == 2


def test_what_has_no_cache_or_cannot_be_fed() -> None:
    assert _layout(IDS) == (None, "")
    layout, note = _layout(("inputs_embeds", ["batch", "sequence", 16]), *CACHE)
    assert layout is None and "no input of tokens" in note
    layout, note = _layout(IDS, *CACHE, ("encoder_hidden_states", ["batch", "n", 16]))
    assert layout is None and "encoder_hidden_states" in note


def test_a_model_without_a_cache_is_refused(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [value("x", TensorProto.FLOAT, [1])],
        [value("y", TensorProto.FLOAT, [1])],
    )
    onnx.save(helper.make_model(graph), tmp_path / "relu.onnx")
    with pytest.raises(EngineError, match="no KV cache"):
        read_layout(tmp_path / "relu.onnx")


def test_a_transformers_folder(tmp_path: Path) -> None:
    folder = language_models.folder(tmp_path, "llama")
    source = identify(folder)
    assert source.kind is ModelKind.TRANSFORMERS and source.path == str(folder)
    layout = folder_layout(folder)
    assert (layout.layers, layout.heads, layout.head_size) == (2, 2, 8)
    assert (layout.vocabulary, layout.most_tokens) == (256, language_models.POSITIONS)
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    assert identify(folder).sha256 != source.sha256


def test_pickled_weights_of_a_folder_are_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "vocab_size": 8}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelFileError, match="pickled weights, which are not loaded"):
        folder_files(tmp_path)
