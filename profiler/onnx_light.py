"""Read an ONNX file without the large tensors in it, which stay where they are until they're taken.

The library reads a file into memory and copies it in parsing, and frees neither in parts: a
model's weights would be there three times once they are copied into memory of their own.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from pathlib import Path

import onnx
from onnx.external_data_helper import ExternalDataInfo

from profiler.protobuf import LENGTH, Buffer, Field, fields

# Shape inference may depend on the values of smaller tensors.
LARGE_ELEMENTS = 1024
# Larger than those, of the widest type.
LARGE_BYTES = 16 * LARGE_ELEMENTS + 1
# By message: fields that may hold a weight, as onnx.proto numbers them, and what they are.
_NESTED: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {6: "graph"},
    "constant": {5: "value"},
    "value": {5: "tensor"},
}
_OP_TYPE = 4
_RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 9, 13, 14
_MOST_NESTED = 64


def load_light(path: Path) -> onnx.ModelProto:
    """The model; tensors of `LARGE_BYTES` and more in it are external data of the file itself."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            whole = Field(0, LENGTH, 0, 0, len(data))
            content = _without_data(data, whole, "model", path.name, 0)
    except ValueError:
        # Damaged, or written in an unusual way: the library tells.
        content = None
    if content is None:
        return onnx.load(str(path), load_external_data=False)
    return onnx.load_from_string(content)


def external_bytes(tensor: onnx.TensorProto, folder: Path) -> bytes | None:
    """Data of a tensor that isn't in the message; None where it can't be had from that folder."""
    info = ExternalDataInfo(tensor)
    place = Path(os.path.normpath(folder / info.location))
    if not place.is_relative_to(os.path.normpath(folder)):
        return None
    try:
        with place.open("rb") as file:
            file.seek(int(info.offset or 0))
            return file.read(int(info.length) if info.length else -1)
    except (OSError, ValueError):
        return None


def _without_data(
    data: Buffer, message: Field, kind: str, location: str, depth: int
) -> bytes | None:
    """The message with its large tensors turned into references; None where it has none.

    Raises ValueError for what is no message.
    """
    if message.end - message.start < LARGE_BYTES:
        return None
    if kind == "tensor":
        return _reference(data, message, location)
    if kind == "node" and _is_constant(data, message):
        kind = "constant"
    if depth > _MOST_NESTED:
        raise ValueError("nested too deeply")
    parts: list[bytes] = []
    copied = begin = message.start
    for found in fields(data, message.start, message.end):
        inner = _NESTED[kind].get(found.number)
        if inner and found.wire == LENGTH:
            short = _without_data(data, found, inner, location, depth + 1)
            if short is not None:
                parts += [data[copied:begin], _with_length(found.number, short)]
                copied = found.end
        begin = found.end
    return b"".join([*parts, data[copied : message.end]]) if parts else None


def _is_constant(data: Buffer, node: Field) -> bool:
    found = [f for f in fields(data, node.start, node.end) if f.number == _OP_TYPE]
    return bool(found) and data[found[-1].start : found[-1].end] == b"Constant"


def _reference(data: Buffer, tensor: Field, location: str) -> bytes | None:
    """A tensor that says where in the file its data is; None where that isn't one piece of it."""
    parts: list[bytes] = []
    places: list[Field] = []
    begin = tensor.start
    for found in fields(data, tensor.start, tensor.end):
        if found.number in (_EXTERNAL_DATA, _DATA_LOCATION):
            return None
        if found.number == _RAW_DATA and found.wire == LENGTH:
            places.append(found)
        else:
            parts.append(data[begin : found.end])
        begin = found.end
    if len(places) != 1 or places[0].end - places[0].start < LARGE_BYTES:
        return None
    (place,) = places
    light = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (
        ("location", location),
        ("offset", str(place.start)),
        ("length", str(place.end - place.start)),
    ):
        light.external_data.add(key=key, value=value)
    return b"".join([*parts, light.SerializeToString()])


def _with_length(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | LENGTH) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))
