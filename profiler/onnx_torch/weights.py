"""Take the large tensors out of a model: mapped from their files, or read once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.external_data_helper
import onnx.numpy_helper
import torch

from profiler.aligned import ALIGNMENT
from profiler.onnx_bodies import graphs
from profiler.onnx_light import LARGE_ELEMENTS
from profiler.onnx_torch.values import Array


def take_weights(model: onnx.ModelProto, folder: Path) -> dict[str, Array]:
    """Arrays of the model's initializers and large constants by name; `model` becomes light.

    A large initializer becomes an input of the graph, with its type: only small ones stay.
    """
    files: dict[Path, Array] = {}
    found: dict[str, Array] = {}
    for graph in graphs(model.graph):
        _promote_constants(graph)
    named = {value.name for value in model.graph.input}
    for graph in graphs(model.graph):
        small = []
        _rename(graph, {t.name for t in graph.initializer} & found.keys(), f"{len(found)}/")
        for tensor in graph.initializer:
            found[tensor.name] = array = _array(tensor, folder, files)
            if array.size <= LARGE_ELEMENTS or graph is not model.graph:
                small.append(_inside(tensor, array))
            elif tensor.name not in named:
                model.graph.input.append(
                    onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
                )
        del graph.initializer[:]
        graph.initializer.extend(small)
    return found


def _rename(graph: onnx.GraphProto, names: set[str], prefix: str) -> None:
    """Branches beside each other may use one name for two weights: tell them apart."""
    if not names:
        return
    for tensor in graph.initializer:
        tensor.name = prefix + tensor.name if tensor.name in names else tensor.name
    for output in graph.output:
        output.name = prefix + output.name if output.name in names else output.name
    for inner in graphs(graph):
        for node in inner.node:
            for position, name in enumerate(node.input):
                if name in names:
                    node.input[position] = prefix + name


def _promote_constants(graph: onnx.GraphProto) -> None:
    """Some exporters write weights as nodes: large ones become initializers."""
    kept = []
    for node in graph.node:
        tensor = next((a.t for a in node.attribute if a.name == "value"), None)
        is_large = tensor is not None and _count(tensor) > LARGE_ELEMENTS
        if node.op_type != "Constant" or not is_large:
            kept.append(node)
            continue
        graph.initializer.append(tensor)
        graph.initializer[-1].name = node.output[0]
    if len(kept) < len(graph.node):
        copies = [_copy(node) for node in kept]
        del graph.node[:]
        graph.node.extend(copies)


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy


def _count(tensor: onnx.TensorProto) -> int:
    return int(np.prod(tensor.dims, dtype=np.int64))


def _array(tensor: onnx.TensorProto, folder: Path, files: dict[Path, Array]) -> Array:
    if not onnx.external_data_helper.uses_external_data(tensor):
        return _own(onnx.numpy_helper.to_array(tensor))
    info = onnx.external_data_helper.ExternalDataInfo(tensor)
    dtype: Any = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    size = dtype.itemsize * _count(tensor)
    length = int(info.length or size)
    content: Any = _content(folder / info.location, int(info.offset or 0), length, files)
    if size != length:
        # Packed types, such as int4.
        held = onnx.TensorProto(data_type=tensor.data_type, dims=tensor.dims)
        held.raw_data = content.tobytes()
        content = _own(onnx.numpy_helper.to_array(held))
    mapped: Array = content.view(dtype).reshape(tuple(tensor.dims))
    return mapped


def _content(path: Path, offset: int, length: int, files: dict[Path, Array]) -> Array:
    """Bytes of a file: mapped where they lie well there, else read into memory that does."""
    if offset % ALIGNMENT:
        content = _memory(length)
        with path.open("rb") as file:
            file.seek(offset)
            return content[: file.readinto(content.data)]
    if path not in files:
        # Private and writable: nothing reaches the file, and pages are read when they are used.
        files[path] = np.memmap(path, dtype=np.uint8, mode="c")
    return np.asarray(files[path][offset : offset + length])


def _own(array: Array) -> Array:
    """A copy in memory as PyTorch's own tensors have it."""
    copy: Array = _memory(array.nbytes).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _memory(size: int) -> Array:
    """Bytes from PyTorch's allocator.

    NumPy asks for huge pages. An author's module lies in small ones, in which products are slower.
    """
    found: Array = torch.empty(size, dtype=torch.uint8).numpy()
    return found


def _inside(tensor: onnx.TensorProto, array: Array) -> onnx.TensorProto:
    """For inference, which reads no files: a small tensor with its data, a large one without."""
    inside = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    if array.size > LARGE_ELEMENTS:
        return inside
    if not onnx.external_data_helper.uses_external_data(tensor):
        inside.CopyFrom(tensor)
        return inside
    filled = onnx.numpy_helper.from_array(np.ascontiguousarray(array), tensor.name)
    # Scalars stay scalars.
    del filled.dims[:]
    filled.dims.extend(tensor.dims)
    return filled
