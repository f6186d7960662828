"""A person's own values, from every kind of file that holds some."""

from __future__ import annotations

import base64
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from profiler.errors import InputError
from profiler.inputs import apply_data, apply_overrides, make_arrays, with_fill
from profiler.tensor_files import parse_tensor, read_all, read_values
from profiler.types import Fill, InputSpec

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def spec(name: str, *shape: int, dtype: str = "float32", limit: int | None = None) -> InputSpec:
    symbols = tuple(f"d{i}" for i in range(len(shape)))
    return InputSpec(name=name, dtype=dtype, shape=shape, symbols=symbols, limit=limit)


@pytest.mark.parametrize(
    "dtype",
    [
        *("float32", "float64", "float16", "int8", "uint8", "int16", "uint16", "int32", "int64"),
        *("uint32", "uint64", "bool"),
    ],
)
@pytest.mark.parametrize("raw", [True, False])
def test_tensors_of_onnx(dtype: str, raw: bool) -> None:
    array = np.array([[0, 1], [1, 0]]).astype(dtype)
    if raw:
        tensor = numpy_helper.from_array(array, "t")
    else:
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        tensor = onnx.helper.make_tensor("t", kind, array.shape, array.flatten().tolist())
    name, found = parse_tensor(tensor.SerializeToString())
    assert name == "t"
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_negative_numbers_that_are_not_raw() -> None:
    tensor = onnx.helper.make_tensor("t", onnx.TensorProto.INT64, [2], [-1, 5])
    assert parse_tensor(tensor.SerializeToString())[1].tolist() == [-1, 5]


def test_bfloat16() -> None:
    tensor = onnx.helper.make_tensor("t", onnx.TensorProto.BFLOAT16, [2], [1.5, -2.0])
    found = parse_tensor(tensor.SerializeToString())[1]
    assert found.astype(np.float32).tolist() == [1.5, -2.0]


def save_pb(path: Path, array: Any, name: str) -> Path:
    path.write_bytes(numpy_helper.from_array(array, name).SerializeToString())
    return path


def data_set(folder: Path) -> Path:
    """As ONNX's model zoo lays it out; more than ten, so that names sort otherwise."""
    path = folder / "test_data_set_0"
    path.mkdir()
    for number in range(11):
        save_pb(path / f"input_{number}.pb", np.full((1, 2), number, np.float32), f"x{number}")
    return path


def polygraphy(path: Path, **arrays: Any) -> Path:
    def packed(array: Any) -> str:
        file = io.BytesIO()
        np.save(file, array, allow_pickle=False)
        return base64.b64encode(file.getvalue()).decode()

    feed = {n: {"array": packed(a), "polygraphy_class": "ndarray"} for n, a in arrays.items()}
    path.write_text(json.dumps([feed, feed]))
    return path


def test_each_kind_of_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    np.savez(tmp_path / "a.npz", x=X, y=X + 1)
    save_pb(tmp_path / "a.pb", X, "x")
    polygraphy(tmp_path / "a.json", x=X, y=X + 1)
    for name in ("a.npy", "a.npz", "a.pb", "a.json"):
        np.testing.assert_array_equal(read_values(tmp_path / name, "x"), X)
    assert list(read_all(tmp_path / "a.json")) == ["x", "y"]


def test_a_folder_of_tensors_keeps_its_order(tmp_path: Path) -> None:
    found = apply_data([spec(f"in{i}", 1, 1) for i in range(11)], data_set(tmp_path))
    values = make_arrays(found)
    assert [int(values[f"in{i}"][0, 0]) for i in range(11)] == list(range(11))
    assert found[0].shape == (1, 2)


def test_values_by_name_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, other=X, y=X + 1, x=X)
    values = make_arrays(apply_data([spec("x", 1, 3), spec("y", 1, 3)], path))
    np.testing.assert_array_equal(values["x"], X)
    np.testing.assert_array_equal(values["y"], X + 1)


def test_too_few_values(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(InputError, match="holds 1 arrays") as caught:
        apply_data([spec("x", 1, 3), spec("y", 1, 3)], tmp_path / "a.npy")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pb", b"\x08\x02\x10\x01"),
        ("a.pb", b"\xff" * 30),
        ("a.pb", b""),
        ("a.json", b"[]"),
        ("a.json", b'[{"x": {"array": "no array"}}]'),
        ("a.npz", b"PK"),
        ("a.npy", pickle.dumps([1])),
    ],
)
def test_damaged_files(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_all(tmp_path / name)
    assert caught.value.hint


def test_external_values_are_refused() -> None:
    tensor = numpy_helper.from_array(X, "t")
    onnx.external_data_helper.set_external_data(tensor, "/etc/passwd")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    with pytest.raises(ValueError, match="another file"):
        parse_tensor(tensor.SerializeToString())


# --- fills and limits ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fill", "low", "high", "shape"),
    [
        ("x=uniform(0,255)", Fill.UNIFORM, 0.0, 255.0, (1, 3)),
        ("x=float32[2,3]:uniform(-1,1)", Fill.UNIFORM, -1.0, 1.0, (2, 3)),
        ("x=[4,3]:ones", Fill.ONES, 0.0, 1.0, (4, 3)),
        ("x=zeros", Fill.ZEROS, 0.0, 1.0, (1, 3)),
    ],
)
def test_fills_are_written_behind_the_shape(
    text: str, fill: Fill, low: float, high: float, shape: tuple[int, ...]
) -> None:
    (found,) = apply_overrides([spec("x", 1, 3)], [text])
    assert (found.fill, found.low, found.high, found.shape) == (fill, low, high, shape)


@pytest.mark.parametrize("text", ["x=ones(1,2)", "x=uniform(2,1)", "x=uniform(a,b)", "x=often"])
def test_fills_that_make_no_sense(text: str) -> None:
    with pytest.raises(InputError) as caught:
        apply_overrides([spec("x", 1, 3)], [text])
    assert caught.value.hint


@pytest.mark.parametrize("fill", [fill for fill in Fill if fill is not Fill.FILE])
def test_no_fill_goes_past_the_table(fill: Fill) -> None:
    for limit in (1, 2, 7):
        index = with_fill(spec("i", 50, 50, dtype="int64", limit=limit), fill, None, None)
        index = InputSpec(**{**_fields(index), "high": 1000.0})
        values = make_arrays([index])["i"]
        assert values.min() >= 0 and values.max() < limit


def _fields(value: InputSpec) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


def test_bounds_and_values_past_the_table_are_refused(tmp_path: Path) -> None:
    index = spec("i", 2, dtype="int64", limit=7)
    with pytest.raises(InputError, match="7 rows"):
        apply_overrides([index], ["i=integers(0,8)"])
    np.save(tmp_path / "i.npy", np.array([3, 7]))
    given = apply_overrides([index], [f"i={tmp_path / 'i.npy'}"])
    with pytest.raises(InputError, match="7 rows"):
        make_arrays(given)
