"""What would a pickle call? Read from its opcodes; nothing is unpickled."""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from profiler.errors import ModelFileError, UnsafeModelError
from profiler.types import ModelKind

Global = tuple[str, str]

# A pickle of a model holds names and shapes; tensors lie beside it.
MAX_PICKLE_BYTES = 256 << 20
MAX_NESTING = 3
UNKNOWN: Global = ("?", "a name computed at load time")

_STORAGES = (
    *("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"),
    *("ComplexFloat", "ComplexDouble", "QInt8", "QUInt8", "QInt32"),
)
_DTYPES = (
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "qint8", "quint8", "qint32"),
    *("uint16", "uint32", "uint64"),
    *("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
)
DATA_GLOBALS: frozenset[Global] = frozenset(
    {
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("builtins", "set"),
        ("__builtin__", "set"),
        ("builtins", "dict"),
        ("_codecs", "encode"),
        ("torch", "Size"),
        ("torch", "Tensor"),
        ("torch", "device"),
        ("torch.serialization", "_get_layout"),
        ("torch._utils", "_rebuild_tensor"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_tensor_v3"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch._utils", "_rebuild_parameter_with_state"),
        ("torch._utils", "_rebuild_qtensor"),
        ("torch._utils", "_rebuild_sparse_tensor"),
        ("torch.storage", "UntypedStorage"),
        ("torch.storage", "TypedStorage"),
        ("torch.nn.parameter", "Parameter"),
        *(("torch", f"{name}Storage") for name in _STORAGES),
        *(("torch", name) for name in _DTYPES),
    }
)
MODULE_PREFIX = "torch.nn.modules."
# Activations that torch.nn's own modules keep as attributes, such as TransformerEncoderLayer.
MODULE_FUNCTIONS: frozenset[Global] = frozenset(
    {
        *(("torch.nn.functional", name) for name in ("relu", "silu", "mish", "elu", "selu")),
        *(("torch.nn.functional", name) for name in ("leaky_relu", "hardtanh", "tanh", "sigmoid")),
        ("torch._C._nn", "gelu"),
    }
)


def check_globals(path: Path, kind: ModelKind) -> None:
    """Refuse a file whose pickles name anything but data and torch.nn classes.

    TorchScript's own loader has no way to call Python, so its pickles need no check.
    Raises UnsafeModelError that lists the names.
    """
    if kind in (ModelKind.ONNX, ModelKind.TORCHSCRIPT):
        return
    modules_allowed = kind is ModelKind.PICKLED_MODULE
    bad = sorted(
        {
            found
            for found in archive_globals(path)
            if found not in DATA_GLOBALS and not (modules_allowed and is_module_part(found))
        }
    )
    if bad:
        names = ", ".join(f"{module}.{name}" for module, name in bad[:8])
        more = f" and {len(bad) - 8} more" if len(bad) > 8 else ""
        raise UnsafeModelError(
            f"Loading {path.name} would run code that it names: {names}{more}. It was not loaded.",
            "If you trust its author, load it in PyTorch yourself and export it to ONNX or "
            "with torch.export.",
        )


def holds_only_data(path: Path) -> bool:
    """Whether a torch.save archive holds tensors and containers but no module or other object."""
    return all(found in DATA_GLOBALS for found in archive_globals(path))


def module_parts(path: Path) -> set[Global]:
    """The torch.nn classes that a pickled module names, and their activation functions."""
    return {found for found in archive_globals(path) if is_module_part(found)}


def is_module_part(found: Global) -> bool:
    return found in MODULE_FUNCTIONS or is_torch_nn(found)


def is_torch_nn(found: Global) -> bool:
    """By name only; whether the class exists is decided where torch is imported."""
    module, name = found
    return module.startswith(MODULE_PREFIX) and name.isidentifier() and "__" not in name


def archive_globals(path: Path) -> set[Global]:
    """Every global named by any pickle in the archive, nested archives included.

    Raises ModelFileError for a damaged archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {found for data in _pickles(archive, 0) for found in pickle_globals(data)}
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelFileError(
            f"{path.name} is a damaged archive: {error}", "Copy or download it again."
        ) from error


def _pickles(archive: zipfile.ZipFile, depth: int) -> Iterator[bytes]:
    for member in archive.infolist():
        with archive.open(member) as file:
            head = file.read(4)
            if head == b"PK\x03\x04":
                file.seek(0)
                yield from _nested(file, member, depth)
            elif member.filename.lower().endswith(".pt") and member.file_size:
                # torch.load would take it for an old pickle, of which it reads several.
                raise ModelFileError(
                    f"{member.filename} inside of the archive is no torch.save archive.",
                    "Save the model again with PyTorch 2.",
                )
            elif member.filename.lower().endswith((".pkl", ".pickle")) or _is_pickle(
                head, member, archive
            ):
                _check_size(member)
                yield head + file.read()


def _nested(file: IO[bytes], member: zipfile.ZipInfo, depth: int) -> Iterator[bytes]:
    if depth == MAX_NESTING:
        raise ModelFileError(
            f"{member.filename} is an archive in an archive in an archive.",
            "The file may be damaged, or made to do harm.",
        )
    if member.compress_type != zipfile.ZIP_STORED:
        # Seeking in compressed bytes unpacks them again and again.
        _check_size(member)
        file = io.BytesIO(file.read())
    with zipfile.ZipFile(file) as nested:
        yield from _pickles(nested, depth + 1)


def _check_size(member: zipfile.ZipInfo) -> None:
    if member.file_size > MAX_PICKLE_BYTES:
        raise ModelFileError(
            f"The archive's member {member.filename} unpacks to "
            f"{member.file_size >> 20} MiB, which no model's structure needs.",
            "The file may be damaged, or made to do harm.",
        )


def _is_pickle(head: bytes, member: zipfile.ZipInfo, archive: zipfile.ZipFile) -> bool:
    """Raw tensor bytes may start like a pickle; only what parses to STOP is one."""
    if not (head[:1] == b"\x80" and head[1:2] <= b"\x05") or member.file_size > MAX_PICKLE_BYTES:
        return False
    try:
        return any(op.name == "STOP" for op, _, _ in pickletools.genops(archive.read(member)))
    except Exception:
        # Not a pickle, then: genops raises whatever its opcode readers raise.
        return False


def pickle_globals(data: bytes) -> set[Global]:
    """(module, name) of every global that the pickle looks up, and pickles right behind it.

    Raises ModelFileError when the first one is damaged.
    """
    file = io.BytesIO(data)
    found: set[Global] = set()
    try:
        _collect(file, found)
    except Exception as error:
        raise ModelFileError(
            f"A pickle in the file is damaged: {error}", "Copy or download it again."
        ) from error
    try:
        while file.tell() < len(data):
            _collect(file, found)
    except Exception:
        # What follows is no pickle to its end; what it named up to there is in `found`.
        return found
    return found


def _collect(file: IO[bytes], found: set[Global]) -> None:
    """Add one pickle's globals.

    STACK_GLOBAL takes its two strings from the stack. They count as told only where nothing but
    the two was pushed just before, else UNKNOWN stands in: pops and marks could hide others.
    """
    below: str | None = None
    top: str | None = None
    memo: dict[int, str | None] = {}
    for opcode, argument, _ in pickletools.genops(file):
        name = opcode.name
        if name in ("PROTO", "FRAME"):
            continue
        if name == "MEMOIZE":
            memo[len(memo)] = top
            continue
        if name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[int(argument or 0)] = top
            continue
        if name in ("GLOBAL", "INST"):
            module, _, attribute = str(argument).partition(" ")
            found.add((module, attribute))
        elif name == "STACK_GLOBAL":
            found.add(UNKNOWN if below is None or top is None else (below, top))
        elif name in ("EXT1", "EXT2", "EXT4"):
            found.add(UNKNOWN)
        pushed = None
        if "UNICODE" in name or "STRING" in name:
            pushed = str(argument)
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            pushed = memo.get(int(argument or 0))
        below, top = (None, None) if pushed is None else (top, pushed)
