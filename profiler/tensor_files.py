"""A person's own values: .npy, .npz, ONNX's .pb tensors, Polygraphy's JSON. Never unpickles."""

from __future__ import annotations

import base64
import binascii
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from profiler.errors import InputError
from profiler.protobuf import LENGTH, VARINT, Field, fields, signed, text, varint

Array = NDArray[Any]

SUFFIXES = (".npy", ".npz", ".pb", ".json")
# TensorProto's data types in onnx.proto, by NumPy's names.
_DTYPES = {
    **{1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64"},
    **{9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16"},
}
# Its field numbers.
_FLOATS, _UINT64S = 4, 11
HINT = "Give an .npy, .npz, ONNX .pb or Polygraphy .json file."


def read_values(path: Path, name: str) -> Array:
    """The values for one input: by its name where the file has names, else the first.

    Raises InputError.
    """
    found = read_all(path)
    return found[name] if name in found else next(iter(found.values()))


def read_all(path: Path) -> dict[str, Array]:
    """Every array of a file by name ("" where it has none); of a folder, its input_0.pb, ....

    Raises InputError.
    """
    try:
        if path.is_dir():
            return _read_folder(path)
        found = _READERS.get(path.suffix, _read_npy)(path)
    except (OSError, EOFError, ValueError, LookupError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"Can't read values from {path}: {str(error)[:300]}", HINT) from error
    if not found:
        raise InputError(f"{path} holds no arrays.", HINT)
    return found


def _read_npy(path: Path) -> dict[str, Array]:
    return {"": np.asarray(np.load(path, allow_pickle=False))}


def _read_npz(path: Path) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: np.asarray(archive[name]) for name in archive.files}


def _read_pb(path: Path) -> dict[str, Array]:
    name, array = parse_tensor(path.read_bytes())
    return {name: array}


def _read_folder(path: Path) -> dict[str, Array]:
    """`test_data_set_0` of ONNX's model zoo and of its backend tests."""
    found: dict[str, Array] = {}
    for number in range(len(list(path.glob("input_*.pb")))):
        name, array = parse_tensor((path / f"input_{number}.pb").read_bytes())
        found[name or f"input_{number}"] = array
    return found


def _read_json(path: Path) -> dict[str, Array]:
    """What Polygraphy's `save_json(feeds)` wrote: a list of mappings, of which the first counts."""
    content = json.loads(path.read_text("utf-8"))
    feeds = content.get("lst", content) if isinstance(content, dict) else content
    feed = feeds[0] if isinstance(feeds, list) else feeds
    return {name: _from_json(value) for name, value in feed.items() if isinstance(value, dict)}


def _from_json(value: dict[str, Any]) -> Array:
    # A torch tensor is kept as an array in "values".
    packed = value.get("array") or value["values"]["array"]
    try:
        data = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        # Before version 0.26.
        data = packed.encode("latin-1")
    return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))


_READERS = {".npy": _read_npy, ".npz": _read_npz, ".pb": _read_pb, ".json": _read_json}


def parse_tensor(data: bytes) -> tuple[str, Array]:
    """Name and values of a TensorProto. Raises ValueError."""
    name, raw, dims, kind = "", None, [], 0
    numbers: list[Any] = []
    for found in fields(data, 0, len(data)):
        match found.number:
            case 1:
                dims += [signed(v) for v in _varints(data, found)]
            case 2:
                kind = found.value
            case 8:
                name = text(data, found)
            case 9:
                raw = data[found.start : found.end]
            case 4 | 10:
                width = "<f4" if found.number == _FLOATS else "<f8"
                numbers += np.frombuffer(data[found.start : found.end], width).tolist()
            case 5 | 7 | 11:
                unsigned = found.number == _UINT64S
                numbers += [v if unsigned else signed(v) for v in _varints(data, found)]
            case 14 if found.value:
                raise ValueError("its values lie in another file")
    if kind not in _DTYPES:
        raise ValueError(f"no tensor of numbers (data type {kind})")
    return name, _array(_DTYPES[kind], dims, raw, numbers)


def _varints(data: bytes, field: Field) -> list[int]:
    """A repeated number, packed or not."""
    if field.wire == VARINT:
        return [field.value]
    if field.wire != LENGTH:
        raise ValueError(f"wire type {field.wire}")
    found, at = [], field.start
    while at < field.end:
        value, at = varint(data, at, field.end)
        found.append(value)
    return found


def _array(dtype: str, dims: list[int], raw: bytes | None, numbers: list[Any]) -> Array:
    if dtype == "bfloat16":
        import ml_dtypes

        kind: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    else:
        kind = np.dtype(dtype)
    if raw is not None:
        return np.frombuffer(raw, kind).reshape(dims).copy()
    if kind.itemsize == 2 and kind.kind not in "iu":
        # Kept by their bits.
        return np.array(numbers, np.uint16).view(kind).reshape(dims)
    return np.array(numbers, kind).reshape(dims)
