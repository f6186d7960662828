"""What is this file? Told from a few bytes and zip member names; nothing in it is run."""

from __future__ import annotations

import codecs
import hashlib
import os
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from profiler import pickle_safety
from profiler.errors import ModelFileError
from profiler.types import ModelKind, ModelSource

NEEDED = (
    "Dualscope opens .onnx, TorchScript .pt, torch.export .pt2, and a pickled nn.Module "
    "made of torch.nn classes."
)
LEGACY_TORCH_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

# First bytes of files that people drop by mistake: (start, offset, what it is, what to do).
KNOWN_BYTES: tuple[tuple[bytes, int, str, str], ...] = (
    (b"\x1f\x8b", 0, "a gzip archive", "Unpack it first."),
    (b"BZh", 0, "a bzip2 archive", "Unpack it first."),
    (b"\xfd7zXZ\x00", 0, "an xz archive", "Unpack it first."),
    (b"ustar", 257, "a tar archive", "Unpack it first."),
    (b"7z\xbc\xaf", 0, "a 7z archive", "Unpack it first."),
    (b"\x89HDF\r\n\x1a\n", 0, "an HDF5 file (Keras weights?)", "Export the model to ONNX."),
    (b"TFL3", 4, "a TensorFlow Lite model", "Convert it to ONNX (tf2onnx)."),
    (b"GGUF", 0, "a GGUF file (llama.cpp)", "Open the original PyTorch model's ONNX export."),
    (b"ORTM", 4, "an ONNX Runtime .ort file", "Open the .onnx file that it was made from."),
    (b"\x89PNG", 0, "an image", NEEDED),
    (b"\xff\xd8\xff", 0, "an image", NEEDED),
    (b"%PDF", 0, "a PDF document", NEEDED),
    (b"version https://git-lfs", 0, "a Git LFS pointer, not the model", "Run `git lfs pull`."),
    (b"<!DOCTYPE html", 0, "a web page", "The download gave a page instead of the model."),
    (b"<html", 0, "a web page", "The download gave a page instead of the model."),
    (b"ftrt", 0, "a TensorRT engine", "Open the .onnx file that it was built from."),
)


def identify(path: Path) -> ModelSource:
    """Kind, hash and size of a model file.

    Raises ModelFileError, which says what the file is instead, for anything else.
    """
    path = path.expanduser().resolve()
    _check_name(path)
    _check_readable(path)
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(512)
        if head.startswith(b"PK\x03\x04"):
            source = ModelSource(
                path=str(path), kind=_zip_kind(path), sha256="", size_bytes=size_bytes
            )
        else:
            _refuse_known(path, head, size_bytes)
            header = _onnx_header(path, file, size_bytes)
            source = ModelSource(
                path=str(path),
                kind=ModelKind.ONNX,
                sha256="",
                size_bytes=size_bytes,
                opset=header.opset,
                producer=" ".join(filter(None, (header.producer, header.producer_version))),
            )
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ModelSource(
        path=source.path,
        kind=source.kind,
        sha256=digest,
        size_bytes=size_bytes,
        opset=source.opset,
        producer=source.producer,
    )


def check_unchanged(source: ModelSource) -> None:
    """Raises ModelFileError when the file is gone or no longer what it was."""
    path = Path(source.path)
    if identify(path).sha256 != source.sha256:
        raise ModelFileError(
            f"{path.name} has changed since it was opened.", "Open it again (Ctrl+O)."
        )


def _check_name(path: Path) -> None:
    """Paths go to children and into session files as UTF-8; on Linux they may be any bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        readable = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise ModelFileError(
            f"The path {readable} is not valid UTF-8.", "Rename the file or folder."
        ) from error


def _check_readable(path: Path) -> None:
    if not path.exists():
        raise ModelFileError(f"{path} does not exist.", "It may have been moved or renamed.")
    if path.is_dir():
        raise ModelFileError(f"{path} is a directory.", "Open the model file inside of it.")
    if not path.is_file():
        raise ModelFileError(f"{path} is not a regular file.", NEEDED)
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except PermissionError as error:
        raise ModelFileError(
            f"There is no permission to read {path}.", "Change its permissions, or copy it."
        ) from error
    except OSError as error:
        raise ModelFileError(f"{path} can't be read: {error.strerror}.") from error
    if empty:
        raise ModelFileError(f"{path.name} is empty.", "The copy or download may have failed.")


def _refuse_known(path: Path, head: bytes, size_bytes: int) -> None:
    for start, offset, what, hint in KNOWN_BYTES:
        if head[offset : offset + len(start)].lower() == start.lower():
            raise ModelFileError(f"{path.name} is {what}.", hint)
    if head.startswith(LEGACY_TORCH_MAGIC) or head[:1] == b"\x80":
        raise ModelFileError(
            f"{path.name} is a legacy (non-zip) pickle.",
            "If you trust its author, load it in PyTorch and save it again with torch.save.",
        )
    if len(head) > 9 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] < size_bytes:
        raise ModelFileError(
            f"{path.name} is a safetensors file: weights without a model.",
            "Load them into the model in PyTorch, and export that with torch.export or to ONNX.",
        )
    if _is_text(head):
        raise ModelFileError(f"{path.name} is a text file.", NEEDED)


def _is_text(head: bytes) -> bool:
    if b"\x00" in head:
        return False
    try:
        # The last character may be cut.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\r\n\t" for character in text)


# --- zip archives -----------------------------------------------------------------------------


def _zip_kind(path: Path) -> ModelKind:
    try:
        with zipfile.ZipFile(path) as archive:
            # Every torch archive keeps its members in one folder, whose name may be anything.
            members = {name.partition("/")[2] for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError, UnicodeDecodeError) as error:
        raise ModelFileError(
            f"{path.name} is a truncated or damaged archive.", "Copy or download it again."
        ) from error
    folders = {name.split("/")[0] for name in members}
    if "bytecode.pkl" in members:
        raise ModelFileError(
            f"{path.name} is a model for PyTorch Mobile (.ptl).",
            "Open the TorchScript or nn.Module file that it was made from.",
        )
    if any(name.startswith("data/aotinductor/") for name in members):
        raise ModelFileError(
            f"{path.name} is an AOTInductor package, which holds native code.",
            "Open the torch.export .pt2 that it was compiled from.",
        )
    if "constants.pkl" in members and "code" in folders:
        return ModelKind.TORCHSCRIPT
    if "archive_format" in members or "serialized_exported_program.json" in members:
        return ModelKind.TORCH_EXPORT
    if "data.pkl" in members:
        return _pickle_kind(path)
    raise ModelFileError(f"{path.name} is a zip archive, but no PyTorch model.", NEEDED)


def _pickle_kind(path: Path) -> ModelKind:
    if pickle_safety.holds_only_data(path):
        raise ModelFileError(
            f"{path.name} is a state dict or checkpoint: weights without a model.",
            "Load it into its model in PyTorch, and save that with torch.export.save or as ONNX.",
        )
    return ModelKind.PICKLED_MODULE


# --- ONNX -------------------------------------------------------------------------------------

_IR_VERSION, _PRODUCER, _PRODUCER_VERSION, _GRAPH, _OPSET_IMPORT = 1, 2, 3, 7, 8
_LARGEST_FIELD = 30
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


@dataclass
class _Header:
    ir_version: int = 0
    producer: str = ""
    producer_version: str = ""
    opset: int | None = None
    fields: set[int] = field(default_factory=set)


def _onnx_header(path: Path, file: BinaryIO, size_bytes: int) -> _Header:
    """Top-level fields of an ONNX ModelProto; the graph is skipped, not read."""
    file.seek(0)
    header = _Header()
    try:
        while file.tell() < size_bytes:
            _read_field(file, header, size_bytes)
    except _TruncatedError as error:
        if _IR_VERSION in header.fields:
            raise ModelFileError(
                f"{path.name} is a truncated ONNX file.", "Copy or download it again."
            ) from error
        raise ModelFileError(f"{path.name} is not a model file.", NEEDED) from error
    except (ValueError, EOFError) as error:
        raise ModelFileError(f"{path.name} is not a model file.", NEEDED) from error
    if not {_IR_VERSION, _GRAPH} <= header.fields:
        raise ModelFileError(f"{path.name} is not a model file.", NEEDED)
    return header


class _TruncatedError(Exception):
    """A field goes past the end of the file."""


def _read_field(file: BinaryIO, header: _Header, size_bytes: int) -> None:
    tag = _varint(file)
    number, wire = tag >> 3, tag & 7
    if not 0 < number <= _LARGEST_FIELD:
        raise ValueError(f"field {number}")
    if wire == _LENGTH:
        length = _varint(file)
        if length > size_bytes - file.tell():
            raise _TruncatedError
        start = file.tell()
        if number in (_PRODUCER, _PRODUCER_VERSION) and length < 1000:
            text = file.read(length).decode("utf-8", "replace")
            if number == _PRODUCER:
                header.producer = text
            else:
                header.producer_version = text
        elif number == _OPSET_IMPORT and length < 1000:
            domain, version = _opset(file.read(length))
            header.opset = version if domain in ("", "ai.onnx") else header.opset
        file.seek(start + length)
    elif wire == _VARINT:
        value = _varint(file)
        header.ir_version = value if number == _IR_VERSION else header.ir_version
    elif wire in (_FIXED32, _FIXED64):
        file.seek(4 if wire == _FIXED32 else 8, 1)
    else:
        raise ValueError(f"wire type {wire}")
    header.fields.add(number)


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise _TruncatedError
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("varint")


def _opset(data: bytes) -> tuple[str, int]:
    """OperatorSetIdProto: domain (1), version (2)."""
    domain, version, at = "", 0, 0
    while at + 1 < len(data):
        tag, at = data[at], at + 1
        value, shift = 0, 0
        while at < len(data):
            byte, at = data[at], at + 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if tag == (1 << 3 | _LENGTH):
            domain, at = data[at : at + value].decode("utf-8", "replace"), at + value
        elif tag == (2 << 3 | _VARINT):
            version = value
    return domain, version
