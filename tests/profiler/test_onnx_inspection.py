"""What ONNX files tell of their inputs, operators and weights; and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from profiler.errors import ModelFileError
from profiler.inputs import apply_overrides, make_arrays
from profiler.model_file import identify
from profiler.onnx_inspection import inspect
from profiler.types import Fill, ModelInfo
from tests import model_zoo
from tests.profiler.onnx_torch import models


def look(path: Path) -> ModelInfo:
    return inspect(identify(path))


def refusal(path: Path) -> ModelFileError:
    with pytest.raises(ModelFileError) as caught:
        look(path)
    return caught.value


def changed(folder: Path, *, external: bool = False) -> tuple[Path, onnx.ModelProto]:
    path = model_zoo.onnx_mlp(folder, external=external)
    return path, onnx.load(str(path), load_external_data=False)


def save(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("external", [False, True])
def test_an_mlp(tmp_path: Path, external: bool) -> None:
    info = look(model_zoo.onnx_mlp(tmp_path, external=external))
    (x,), (y,) = info.inputs, info.outputs
    assert (x.name, x.dtype, x.shape, x.symbols) == ("x", "float32", (1, 16), ("batch", None))
    assert (x.fill, x.guessed) == (Fill.NORMAL, False)
    assert (y.name, y.dtype, y.shape) == ("y", "float32", ("batch", 4))
    assert info.op_counts == {"MatMul": 2, "Add": 1, "Relu": 1}
    assert info.node_count == 4
    assert info.parameter_count == 16 * 32 + 32 + 32 * 4
    assert info.weights_bytes == 4 * info.parameter_count
    assert info.source.opset == 18
    assert info.missing_torch_ops == ()


def test_bert_gets_tokens_of_its_vocabulary_and_an_open_mask(tmp_path: Path) -> None:
    ids, mask = look(models.write(models.bert(), tmp_path)).inputs
    assert (ids.fill, ids.low, ids.high) == (Fill.INTEGERS, 0, 100)
    assert (mask.fill, mask.dtype, mask.symbols) == (Fill.ONES, "int64", ("batch", None))


def test_resnet(tmp_path: Path) -> None:
    info = look(models.write(models.resnet(), tmp_path))
    assert [spec.shape for spec in info.inputs] == [(1, 3, 64, 64)]
    assert info.op_counts["Conv"] == 8
    assert info.missing_torch_ops == ()


def test_silero_counts_what_its_branches_hold() -> None:
    info = look(model_zoo.silero("silero_vad.onnx"))
    shapes = {spec.name: spec.shape for spec in info.inputs}
    assert shapes == {"input": (1, 512), "state": (2, 1, 128), "sr": ()}
    assert make_arrays(info.inputs)["sr"].item() == 16_000
    assert info.parameter_count > 500_000
    assert info.op_counts["LSTM"] == 4
    assert info.missing_torch_ops == ()


def test_older_files_list_weights_among_their_inputs(tmp_path: Path) -> None:
    path, model = changed(tmp_path)
    model.graph.input.append(helper.make_tensor_value_info("w1", TensorProto.FLOAT, [16, 32]))
    assert [spec.name for spec in look(save(model, path)).inputs] == ["x"]


def test_dimensions_without_names(tmp_path: Path) -> None:
    path, model = changed(tmp_path)
    model.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    (x,) = look(save(model, path)).inputs
    assert (x.shape, x.symbols) == ((1, 16), ("x_dim0", None))


def test_an_input_without_a_shape_takes_any(tmp_path: Path) -> None:
    path, model = changed(tmp_path)
    model.graph.input[0].type.tensor_type.ClearField("shape")
    (x,) = look(save(model, path)).inputs
    assert x.guessed
    assert apply_overrides([x], ["x=[3,16]"])[0].shape == (3, 16)


def test_operators_of_other_domains_are_named_with_them(tmp_path: Path) -> None:
    path, model = changed(tmp_path)
    model.graph.node[2].op_type, model.graph.node[2].domain = "QMoE", "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    info = look(save(model, path))
    assert info.op_counts["com.microsoft::QMoE"] == 1
    assert info.missing_torch_ops == ("com.microsoft::QMoE",)


@pytest.mark.parametrize("element", [TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.BOOL])
def test_input_dtypes(tmp_path: Path, element: int) -> None:
    path, model = changed(tmp_path)
    model.graph.input[0].type.tensor_type.elem_type = element
    (x,) = look(save(model, path)).inputs
    assert x.dtype == TensorProto.DataType.Name(element).lower()
    assert make_arrays([x])["x"].shape == (1, 16)


# --- what is wrong ------------------------------------------------------------------------------


def test_missing_external_data_names_the_file(tmp_path: Path) -> None:
    path = model_zoo.onnx_mlp(tmp_path, external=True)
    (tmp_path / "external.data").unlink()
    error = refusal(path)
    assert "external.data, which is missing" in error.message
    assert error.hint == "Put external.data beside it."


def test_truncated_external_data(tmp_path: Path) -> None:
    path = model_zoo.onnx_mlp(tmp_path, external=True)
    data = tmp_path / "external.data"
    data.write_bytes(data.read_bytes()[:-100])
    error = refusal(path)
    assert "is truncated" in error.message
    assert error.hint


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "a/../../secret"])
def test_external_data_outside_of_the_folder_is_not_read(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(10_000))
    path, model = changed(folder, external=True)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    error = refusal(save(model, path))
    assert "outside of its folder" in error.message
    assert error.hint


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path = model_zoo.onnx_mlp(folder, external=True)
    moved = (folder / "external.data").rename(tmp_path / "elsewhere")
    (folder / "external.data").symlink_to(moved)
    assert "outside of its folder" in refusal(path).message


def test_external_data_of_a_constant_is_checked(tmp_path: Path) -> None:
    path, model = changed(tmp_path, external=True)
    weight = model.graph.initializer.pop()
    node = helper.make_node("Constant", [], [weight.name], value=weight)
    model.graph.node.insert(0, node)
    save(model, path)
    assert look(path).op_counts["Constant"] == 1
    (tmp_path / "external.data").unlink()
    assert "which is missing" in refusal(path).message


def test_an_opset_newer_than_what_is_known(tmp_path: Path) -> None:
    newest = onnx.defs.onnx_opset_version()
    assert look(model_zoo.onnx_mlp(tmp_path, opset=newest)).source.opset == newest
    error = refusal(model_zoo.onnx_mlp(tmp_path, opset=newest + 1))
    assert f"has opset {newest + 1}" in error.message
    assert "Update onnx" in error.hint


def test_no_opset_at_all(tmp_path: Path) -> None:
    path, model = changed(tmp_path)
    del model.opset_import[:]
    error = refusal(save(model, path))
    assert "names no opset" in error.message
    assert error.hint


def test_an_input_that_is_no_tensor(tmp_path: Path) -> None:
    path, model = changed(tmp_path)
    value = helper.make_tensor_sequence_value_info("list", TensorProto.FLOAT, [1])
    model.graph.input.append(value)
    error = refusal(save(model, path))
    assert "Input list is no tensor but a sequence_type" in error.message
    assert error.hint


def test_damage_inside_of_the_graph(tmp_path: Path) -> None:
    path = model_zoo.onnx_mlp(tmp_path)
    content = bytearray(path.read_bytes())
    # The graph's own fields are past the header, whose lengths stay right.
    start = content.index(b"MatMul")
    content[start - 2 : start + 6] = b"\xff" * 8
    path.write_bytes(content)
    error = refusal(path)
    assert "damaged" in error.message
    assert error.hint
