"""What kind of model it is: real exports, and graphs by hand for what they don't have."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from profiler.jobs import inspect_model
from profiler.model_file import identify
from profiler.model_type import ModelType, attention_blocks, recognize, recognize_graph
from profiler.module_graph import describe
from profiler.types import GraphNode, InputSpec, ModelGraph
from tests.architectures import save
from tests.decision_sessions import rounds, session
from tests.model_zoo import silero

DEMO = Path(__file__).parents[2] / "resources" / "demo" / "demo.onnx"
DTYPES = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.INT64: "int64"}


def described(path: Path) -> tuple[ModelGraph, list[InputSpec], list[str]]:
    graph, model = describe(identify(path)), onnx.load(path, load_external_data=False)
    assert graph is not None
    inputs = [
        InputSpec(
            name=value.name,
            dtype=DTYPES[value.type.tensor_type.elem_type],
            shape=tuple(dim.dim_value or 2 for dim in value.type.tensor_type.shape.dim),
        )
        for value in model.graph.input
    ]
    return graph, inputs, [value.name for value in model.graph.output]


@pytest.mark.parametrize(
    ("name", "kind", "takes", "evidence"),
    [
        ("ResNet-50", ModelType.VISION_CNN, "images", "17 convolutions"),
        ("MobileNetV2", ModelType.VISION_CNN, "images", "52 convolutions"),
        ("ViT", ModelType.ENCODER, "images", "2 attention blocks"),
        ("BERT-base", ModelType.ENCODER, "tokens", "2 attention blocks"),
        ("T5 encoder", ModelType.ENCODER, "tokens", "2 attention blocks"),
        ("Whisper encoder", ModelType.ENCODER, "sound", "2 attention blocks"),
        ("GPT-2", ModelType.AUTOREGRESSIVE, "tokens", "triangular mask"),
    ],
)
def test_exported_models(
    name: str, kind: ModelType, takes: str, evidence: str, tmp_path: Path
) -> None:
    found = recognize_graph(*described(save(name, tmp_path, small=True)[0]))
    assert (found.type, found.takes) == (kind, takes)
    assert evidence in "; ".join(found.evidence)
    assert found.sentence.startswith(kind.value)


def test_the_demo_is_a_hybrid() -> None:
    found = recognize_graph(*described(DEMO))
    assert found.type is ModelType.OTHER
    assert found.evidence[0] == "a hybrid: 7 convolutions and 2 attention blocks"


def test_silero_passes_a_state_on() -> None:
    path = silero("silero_vad.onnx")
    found = recognize_graph(described(path)[0], inspect_model(path).inputs)
    assert found.type is ModelType.OTHER
    assert "passes a state on" in found.evidence[0]


@pytest.mark.parametrize(
    "name",
    ["past_key_values.0.key", "past_0", "past_key_self_0", "cache_k", "kv_cache", "past_key_value"],
)
def test_a_cache_is_known_by_its_names(name: str) -> None:
    cache = InputSpec(name=name, dtype="float32", shape=(1, 4, 8, 16))
    found = recognize_graph(ModelGraph(nodes=()), [cache])
    assert found.type is ModelType.AUTOREGRESSIVE
    assert name in found.evidence[0]


def test_a_cache_that_comes_out() -> None:
    found = recognize_graph(ModelGraph(nodes=()), [], ["logits", "present.0.key"])
    assert found.type is ModelType.AUTOREGRESSIVE


@pytest.mark.parametrize("name", ["input_ids", "pixel_values", "keypoints", "represented", "x"])
def test_other_names_are_no_cache(name: str) -> None:
    found = recognize_graph(
        ModelGraph(nodes=()), [InputSpec(name=name, dtype="int64", shape=(1, 8))]
    )
    assert found.type is ModelType.OTHER


def node(op_type: str, name: str, *inputs: str, weight: str = "") -> GraphNode:
    return GraphNode(
        name=name,
        op_type=op_type,
        inputs=inputs,
        outputs=(name,),
        parameters=(weight,) if weight else (),
    )


def test_a_softmax_over_classes_is_no_attention() -> None:
    nodes = (
        node("Conv", "a", "x", weight="w"),
        node("MatMul", "b", "a", weight="v"),
        node("Softmax", "c", "b"),
    )
    assert attention_blocks(ModelGraph(nodes=nodes)) == 0


def test_attention_fused_and_plain() -> None:
    nodes = (
        node("MatMul", "scores", "q", "k"),
        node("Div", "scaled", "scores", "root"),
        node("Softmax", "shares", "scaled"),
        node("MatMul", "mixed", "shares", "v"),
        node("com.microsoft::MultiHeadAttention", "fused", "mixed"),
    )
    assert attention_blocks(ModelGraph(nodes=nodes)) == 2


def test_traced_operators_tell_where_there_is_no_graph() -> None:
    image = InputSpec(name="x", dtype="float32", shape=(1, 3, 32, 32))
    graph = ModelGraph(nodes=())
    found = recognize_graph(graph, [image], traced=["aten::conv2d", "aten::relu"])
    assert found.type is ModelType.VISION_CNN
    attention = ["aten::scaled_dot_product_attention", "aten::linear"]
    assert recognize_graph(graph, [], traced=attention).type is ModelType.ENCODER
    masked = recognize_graph(graph, [], traced=[*attention, "aten::tril"])
    assert masked.type is ModelType.AUTOREGRESSIVE
    assert recognize_graph(graph, [], traced=["aten::lstm"]).evidence[0] == "recurrent (LSTM)"


def test_nothing_told() -> None:
    found = recognize(session(*rounds("eager", 4.0), inputs=()))
    assert found.type is ModelType.OTHER
    assert found.evidence == ("no lane told its graph or operators",)
