"""What would loading a torch.export file evaluate? Read from its JSON; nothing is evaluated.

`torch.export.load` evaluates shape expressions (by sympy) and guards (as Python), and generates
code that holds names of the file. Only arithmetic on sizes and plain names may stand there.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from profiler import pickle_safety
from profiler.errors import ModelFileError, UnsafeModelError

MAX_PROGRAM_BYTES = 512 << 20
COPY_BYTES = 1 << 20
PROGRAM_FILES = ("serialized_exported_program.json",)
# The prefix of constants that torch unpickles without any limit.
OPAQUE_OBJECT = "opaque_obj"
# Where compiled code lies, which torch.export.load loads along.
NATIVE_CODE = "data/aotinductor/"

_NAME = re.compile(r"[\w.\-/:# ]*")
_EXPRESSION = re.compile(r"[\w .,=<>!*/%+\-()\[\]'\"|&~^]*")
_STRING = re.compile(r"[\w.+\-]*")
_NODES = (
    *(ast.Expression, ast.Constant, ast.Name, ast.Call, ast.keyword, ast.Attribute, ast.Subscript),
    *(ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Tuple, ast.List),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context),
)
# Capitalized: sympy's classes. None of Python's own functions is.
_FUNCTION = re.compile(r"[A-Z]\w*|max|min|abs|floor|ceiling|round|int|float|bool|not_|sqrt")
_METHODS = frozenset({"size", "stride", "storage_offset", "numel", "dim"})
_MODULE_FUNCTION = re.compile(r"math\.[a-z0-9]+|torch\.sym_[a-z]+")


def check_program(path: Path) -> None:
    """Raises UnsafeModelError for a file that would evaluate more than arithmetic on sizes.

    Raises ModelFileError for one that can't be read.
    """
    try:
        check_layout(path)
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _check_member(path, archive, member)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, RecursionError) as error:
        raise ModelFileError(
            f"{path.name} is a damaged archive: {error}", "Copy or download it again."
        ) from error


def without_sample_inputs(path: Path, target: Path) -> Path:
    """Copy the file with its sample inputs emptied, so that nothing of those is unpickled.

    Raises ModelFileError.
    """
    try:
        with (
            zipfile.ZipFile(path) as source,
            zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as copy,
        ):
            for member in source.infolist():
                if pickle_safety.is_sample_input(member.filename):
                    copy.writestr(member.filename, b"")
                    continue
                with (
                    source.open(member) as file,
                    copy.open(member.filename, "w", force_zip64=True) as new,
                ):
                    shutil.copyfileobj(file, new, COPY_BYTES)
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise ModelFileError(
            f"{path.name} can't be copied without its sample inputs: {error}",
            "Is there room in the temporary folder?",
        ) from error
    return target


def _check_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    # PyTorch's reader ignores case, and the name of the outermost folder.
    name = member.filename.replace("\\", "/").lower()
    if OPAQUE_OBJECT in name:
        raise _unsafe(path, "a pickled Python object as a constant")
    if NATIVE_CODE in name:
        raise _unsafe(path, "native code")
    inner = name.partition("/")[2]
    is_program = inner.startswith("models/") or name.rpartition("/")[2] in PROGRAM_FILES
    if not is_program or name.endswith("/"):
        return
    if member.file_size > MAX_PROGRAM_BYTES:
        raise ModelFileError(f"The program in {path.name} is too large.", "It may be damaged.")
    for key, value in _strings("", json.loads(archive.read(member))):
        if not _is_safe(key, value):
            raise _unsafe(path, f"{key} {value[:80]!r}")


def _unsafe(path: Path, what: str) -> UnsafeModelError:
    return UnsafeModelError(
        f"Loading {path.name} would run code that it holds: {what}. It was not loaded.",
        "If you trust its author, load it in PyTorch yourself and export it to ONNX.",
    )


def _strings(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every text with the key that it stands under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _strings(str(name), item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(key, item)


def _is_safe(key: str, text: str) -> bool:
    # pytree imports the module that an enum names.
    if "__enum__" in text:
        return False
    if key in ("expr_str", "guards_code"):
        return is_arithmetic(text)
    if key in ("target", "fqn", "name") or key.endswith(("_name", "_names")):
        return _NAME.fullmatch(text) is not None
    return True


def is_arithmetic(text: str) -> bool:
    """Whether an expression can do nothing but calculate with sizes."""
    if not _EXPRESSION.fullmatch(text):
        return False
    try:
        nodes = list(ast.walk(ast.parse(text.strip(), mode="eval")))
    except (SyntaxError, ValueError, MemoryError):
        return False
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    return all(_is_plain(node, called) for node in nodes)


def _is_plain(node: ast.AST, called: set[int]) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name | ast.Attribute)
    if isinstance(node, ast.Name):
        return id(node) not in called or _FUNCTION.fullmatch(node.id) is not None
    if isinstance(node, ast.Attribute):
        allowed = node.attr in _METHODS or _MODULE_FUNCTION.fullmatch(ast.unparse(node))
        return bool(allowed) and id(node) in called
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        # sympy evaluates texts, too.
        return _STRING.fullmatch(node.value) is not None
    return isinstance(node, _NODES)


# --- one archive, one reading -------------------------------------------------------------------

_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_END_SIZE, _END_64_SIZE, _LOCATOR_64_SIZE = 22, 56, 20


def check_layout(path: Path) -> None:
    """The list of members must lie where every reader looks for it.

    Python's reader finds it from the end, PyTorch's by its stated offset: a crafted file shows
    each of them other members. Raises ModelFileError.
    """
    size_bytes = path.stat().st_size
    tail_bytes = min(size_bytes, _END_SIZE + _LOCATOR_64_SIZE + _END_64_SIZE)
    with path.open("rb") as file:
        file.seek(size_bytes - tail_bytes)
        tail = file.read(tail_bytes)
    start = size_bytes - _END_SIZE
    end = tail[-_END_SIZE:]
    whole = len(end) == _END_SIZE and end.startswith(_END) and end.endswith(b"\x00\x00")
    directory_bytes, offset = struct.unpack("<II", end[12:20]) if whole else (0, 0)
    locator = tail[-_END_SIZE - _LOCATOR_64_SIZE : -_END_SIZE]
    if locator.startswith(_LOCATOR_64):
        start -= _LOCATOR_64_SIZE + _END_64_SIZE
        end_64 = tail[:_END_64_SIZE]
        whole = whole and tail_bytes == len(tail) and end_64.startswith(_END_64)
        whole = whole and struct.unpack("<Q", locator[8:16])[0] == start
        if whole:
            directory_bytes, offset = struct.unpack("<QQ", end_64[40:56])
    if not whole or offset + directory_bytes != start:
        raise ModelFileError(
            f"{path.name} is a damaged archive, or was made to be read in two ways.",
            "Save the model again with torch.export.save.",
        )
