"""Large tensors stay in the file until they are taken, and are right then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import ExternalDataInfo

from profiler.aligned import ALIGNMENT
from profiler.onnx_light import LARGE_BYTES, load_light
from profiler.onnx_torch import import_onnx
from tests.profiler.onnx_torch import models

SIZE = 100


def _matrix(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((SIZE, SIZE)).astype(np.float32)


def _tensor(name: str, seed: int) -> onnx.TensorProto:
    return numpy_helper.from_array(_matrix(seed), name)


def _branched() -> bytes:
    """y = x w0 w1 w2: an initializer, a constant, and an initializer in a branch."""

    def side(name: str) -> onnx.GraphProto:
        node = helper.make_node("MatMul", ["h", f"inner_{name}"], [name])
        output = helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, SIZE])
        seed = 2 if name == "yes" else 3
        return helper.make_graph([node], name, [], [output], [_tensor(f"inner_{name}", seed)])

    nodes = [
        helper.make_node("Constant", [], ["fc.weight"], value=_tensor("value", 1)),
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("MatMul", ["p", "fc.weight"], ["h"]),
        helper.make_node("Cast", ["flag"], ["c"], to=TensorProto.BOOL),
        helper.make_node("If", ["c"], ["y"], then_branch=side("yes"), else_branch=side("no")),
    ]
    shapes: dict[str, list[int]] = {"x": [1, SIZE], "flag": []}
    return models.model_bytes(nodes, shapes, {"y": [1, SIZE]}, [_tensor("w", 0)])


def test_weights_in_the_file_are_read_once_and_lie_well(tmp_path: Path) -> None:
    path = models.write(_branched(), tmp_path)
    assert path.stat().st_size > 4 * SIZE * SIZE * 4
    assert load_light(path).ByteSize() < LARGE_BYTES
    module = import_onnx(path)
    parameters = dict(module.named_parameters())
    assert {"w", "fc.weight"} <= set(parameters)
    assert all(p.data_ptr() % ALIGNMENT == 0 for p in parameters.values())
    x = np.random.default_rng(9).standard_normal((1, SIZE)).astype(np.float32)
    for flag, last in ((1.0, 2), (0.0, 3)):
        expected = x @ _matrix(0) @ _matrix(1) @ _matrix(last)
        (found,) = module(torch.from_numpy(x), torch.tensor(flag))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", [TensorProto.INT4, TensorProto.UINT4, TensorProto.INT8])
def test_large_tensors_of_few_bits(kind: int, tmp_path: Path) -> None:
    low = 0 if kind == TensorProto.UINT4 else -8
    values = np.random.default_rng(0).integers(low, low + 16, (301, 177))
    packed = helper.make_tensor("w", kind, values.shape, values.ravel())
    assert packed.ByteSize() > LARGE_BYTES
    nodes = [
        helper.make_node("Cast", ["w"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "f"], ["y"]),
    ]
    shape = list(values.shape)
    content = models.model_bytes(nodes, {"x": shape}, {"y": shape}, [packed], opset=21)
    (found,) = import_onnx(models.write(content, tmp_path))(torch.ones(shape))
    np.testing.assert_array_equal(found.numpy(), values)


def test_a_file_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = models.write(_branched(), tmp_path / "real")
    link = tmp_path / "link.onnx"
    link.symlink_to(real)
    inputs = torch.ones(1, SIZE), torch.tensor(1.0)
    torch.testing.assert_close(import_onnx(link)(*inputs), import_onnx(real)(*inputs))


def test_what_is_no_weight_stays_where_it_is(tmp_path: Path) -> None:
    """Attributes of other nodes, small tensors, and numbers that are written one by one."""
    numbers = np.arange(5000, dtype=np.float32)
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["x"],
            ["y"],
            domain="ai.onnx.ml",
            keys_tensor=numpy_helper.from_array(numbers, "keys"),
            values_tensor=numpy_helper.from_array(numbers, "values"),
        )
    ]
    small = numpy_helper.from_array(np.ones(1024, dtype=np.complex128), "small")
    listed = helper.make_tensor("listed", TensorProto.FLOAT, [5000], numbers)
    listed.ClearField("raw_data")
    listed.float_data.extend(numbers.tolist())
    content = models.model_bytes(nodes, {"x": [2]}, {"y": [2]}, [small, listed])
    path = models.write(content, tmp_path)
    assert load_light(path) == onnx.load_from_string(content)


def test_a_file_with_unknown_fields_is_read_by_the_library(tmp_path: Path) -> None:
    # Field 1000, a number: 7.
    content = _branched() + bytes([0xC0, 0x3E, 7])
    path = models.write(content, tmp_path)
    assert load_light(path) == onnx.load_from_string(content)
    assert import_onnx(path)(torch.ones(1, SIZE), torch.tensor(1.0))[0].shape == (1, SIZE)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells it")
def test_large_weights_ask_for_no_huge_pages(tmp_path: Path) -> None:
    """NumPy's arrays do, PyTorch's tensors don't: an import would be faster than its module."""
    values = np.ones((2048, 2048), dtype=np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    shapes: tuple[dict[str, list[int]], dict[str, list[int]]] = {"x": [1, 2048]}, {"y": [1, 2048]}
    weight = numpy_helper.from_array(values, "w")
    path = models.write(models.model_bytes(nodes, *shapes, [weight]), tmp_path)
    (tensor,) = load_light(path).graph.initializer
    # Not mapped from where it lies in the file, but read into memory.
    assert int(ExternalDataInfo(tensor).offset or 0) % ALIGNMENT
    # In a process of its own: memory that an array had before keeps the array's flags.
    command = [sys.executable, "-c", FLAGS, str(path)]
    flags = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "rd" in flags and "hg" not in flags


# Prints the flags of the mappings that an imported weight lies in.
FLAGS = """
import sys
from pathlib import Path
from profiler.onnx_torch import import_onnx
(tensor,) = import_onnx(Path(sys.argv[1])).parameters()
start, end = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
inside = False
for line in Path("/proc/self/smaps").read_text().splitlines():
    head, _, rest = line.partition(" ")
    if "-" in head:
        low, high = (int(part, 16) for part in head.split("-"))
        inside = low < end and start < high
    elif inside and head == "VmFlags:":
        print(rest)
"""
