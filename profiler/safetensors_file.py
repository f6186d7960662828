"""Safetensors files told by their header: names, shapes, and which files hold them. Pure Python."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from profiler.errors import ModelFileError

# The format's own limit.
MOST_HEADER_BYTES = 100_000_000
MOST_INDEX_BYTES = 100_000_000
SIZES_BITS = {
    **{"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8},
    **{"F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6},
    **{"I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32},
    **{"I64": 64, "U64": 64, "F64": 64, "C64": 64},
}
AGAIN = "Copy or download it again."


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a file; its dtype in the format's own words."""

    dtype: str
    shape: tuple[int, ...]


def is_safetensors(head: bytes, size_bytes: int) -> bool:
    """Whether a file begins with the length of a JSON header that could fit."""
    return len(head) > 9 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] < size_bytes


def is_index(head: bytes) -> bool:
    """Whether a text may be the index of a model in several files."""
    return head.lstrip().startswith(b"{") and (b'"weight_map"' in head or b'"metadata"' in head)


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Tensors by name. Raises ModelFileError for a header that is damaged or does not fit."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8).ljust(8, b"\xff"))[0]
        if length > min(MOST_HEADER_BYTES, size_bytes - 8):
            raise _damaged(path, "its header is longer than the file or the format allows")
        text = file.read(length)
    try:
        entries = json.loads(text)
        found = {
            name: _tensor(entry, size_bytes - 8 - length)
            for name, entry in entries.items()
            if name != "__metadata__"
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(path, f"its header can't be read: {str(error)[:200]}") from error
    return found


def _tensor(entry: dict[str, Any], most_bytes: int) -> StoredTensor:
    dtype, shape = entry["dtype"], tuple(int(size) for size in entry["shape"])
    begin, end = (int(offset) for offset in entry["data_offsets"])
    if dtype not in SIZES_BITS:
        raise ValueError(f"there is no dtype {dtype!r}")
    if min(shape, default=0) < 0 or not 0 <= begin <= end <= most_bytes:
        raise ValueError("a tensor lies outside of the file")
    if prod(shape) * SIZES_BITS[dtype] != 8 * (end - begin):
        raise ValueError("a tensor's bytes are not what its shape takes")
    return StoredTensor(dtype, shape)


def shards(index: Path) -> tuple[Path, ...]:
    """The files that an index names, which must lie beside it. Raises ModelFileError."""
    if index.stat().st_size > MOST_INDEX_BYTES:
        raise _damaged(index, "it is too long")
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(index, "it is no index of a model's files") from error
    found = []
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
            raise ModelFileError(
                f"{index.name} names a file outside of its folder: {str(name)[:200]}.",
                "It was not read, since a model has no business there.",
            )
        if not name.endswith(".safetensors"):
            raise ModelFileError(
                f"{index.name} is the index of pickled files ({name}).",
                "Open the index of its safetensors files, or convert them to safetensors.",
            )
        if not (index.parent / name).is_file():
            raise ModelFileError(
                f"{index.name} names {name}, which is missing.", f"Put {name} beside it."
            )
        found.append(index.parent / name)
    if not found:
        raise _damaged(index, "it names no file")
    return tuple(found)


def weights_files(path: Path) -> tuple[Path, ...]:
    """The files that hold the tensors: the shards of an index, or the file itself."""
    return shards(path) if path.suffix == ".json" else (path,)


def _damaged(path: Path, what: str) -> ModelFileError:
    return ModelFileError(f"{path.name} is a damaged safetensors file: {what}.", AGAIN)
