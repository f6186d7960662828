"""What the top of an ONNX file tells: opset, producer, files with weights. No weights are read."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from profiler import protobuf
from profiler.errors import ModelFileError
from profiler.protobuf import Buffer, Field, fields, text

# Field numbers of ModelProto, OperatorSetIdProto, GraphProto, NodeProto, AttributeProto,
# TensorProto and StringStringEntryProto in onnx.proto.
_IR_VERSION, _PRODUCER, _PRODUCER_VERSION, _GRAPH, _OPSET_IMPORT = 1, 2, 3, 7, 8
_DOMAIN, _VERSION = 1, 2
_NODE, _INITIALIZER = 1, 5
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS = 5, 6, 11
_EXTERNAL_DATA = 13
_KEY, _VALUE = 1, 2
MOST_NESTED = 32


@dataclass
class OnnxHeader:
    """`weights_files` are the external files, as the model names them."""

    producer: str = ""
    opset: int | None = None
    weights_files: set[str] = field(default_factory=set)


def read_header(path: Path) -> OnnxHeader | None:
    """The header, or None for what is no ONNX file.

    Raises ModelFileError for a truncated one.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _read(path, data)


def _read(path: Path, data: Buffer) -> OnnxHeader | None:
    header, producer = OnnxHeader(), ["", ""]
    seen: set[int] = set()
    graphs: list[Field] = []
    try:
        for found in fields(data, 0, len(data)):
            seen.add(found.number)
            if found.number in (_PRODUCER, _PRODUCER_VERSION):
                producer[found.number - _PRODUCER] = text(data, found)[:200]
            elif found.number == _OPSET_IMPORT:
                domain, version = _opset(data, found)
                header.opset = version if domain in ("", "ai.onnx") else header.opset
            elif found.number == _GRAPH and found.wire == protobuf.LENGTH:
                graphs.append(found)
    except protobuf.TruncatedError as error:
        if _IR_VERSION in seen:
            raise ModelFileError(
                f"{path.name} is a truncated ONNX file.", "Copy or download it again."
            ) from error
        return None
    except ValueError:
        return None
    if not {_IR_VERSION, _GRAPH} <= seen:
        return None
    header.producer = " ".join(filter(None, producer))
    header.weights_files = _weights_files(path, data, graphs)
    return header


def _opset(data: Buffer, message: Field) -> tuple[str, int]:
    domain, version = "", 0
    for found in fields(data, message.start, message.end):
        if found.number == _DOMAIN:
            domain = text(data, found)
        elif found.number == _VERSION:
            version = found.value
    return domain, version


def _weights_files(path: Path, data: Buffer, graphs: list[Field]) -> set[str]:
    try:
        return {
            name
            for graph in graphs
            for tensor in _tensors(data, graph, 0)
            for name in _locations(data, tensor)
        }
    except ValueError as error:
        raise ModelFileError(
            f"{path.name} is a damaged ONNX file.", "Copy or download it again."
        ) from error


def _tensors(data: Buffer, graph: Field, depth: int) -> Iterator[Field]:
    """Initializers and constants, those of nested graphs too."""
    if depth == MOST_NESTED:
        raise ValueError("graphs are nested too deeply")
    for found in fields(data, graph.start, graph.end):
        if found.number == _INITIALIZER:
            yield found
        elif found.number == _NODE:
            for attribute in fields(data, found.start, found.end):
                if attribute.number == _NODE_ATTRIBUTE:
                    yield from _attribute_tensors(data, attribute, depth)


def _attribute_tensors(data: Buffer, attribute: Field, depth: int) -> Iterator[Field]:
    for found in fields(data, attribute.start, attribute.end):
        if found.number == _ATTRIBUTE_TENSOR and found.wire == protobuf.LENGTH:
            yield found
        elif found.number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
            yield from _tensors(data, found, depth + 1)


def _locations(data: Buffer, tensor: Field) -> Iterator[str]:
    for found in fields(data, tensor.start, tensor.end):
        if found.number == _EXTERNAL_DATA:
            entry = {f.number: text(data, f) for f in fields(data, found.start, found.end)}
            if entry.get(_KEY) == "location":
                yield entry.get(_VALUE, "")
