"""Which names may a pickle look up, which ask for consent, which are known to do harm?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from profiler.errors import UnsafeModelError
from profiler.pickle_walk import UNKNOWN, Global, file_globals, member_globals
from profiler.types import ModelKind

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
MOST_SHOWN = 200
MODULE_PREFIX = "torch.nn.modules."
# Activations that torch.nn's own modules keep as attributes, such as TransformerEncoderLayer.
MODULE_FUNCTIONS: frozenset[Global] = frozenset(
    {
        *(("torch.nn.functional", name) for name in ("relu", "silu", "mish", "elu", "selu")),
        *(("torch.nn.functional", name) for name in ("leaky_relu", "hardtanh", "tanh", "sigmoid")),
        ("torch._C._nn", "gelu"),
    }
)


# Top-level modules with which a pickle can run commands, reach the network or change files.
DANGEROUS_MODULES = frozenset(
    {
        *("os", "posix", "nt", "ntpath", "posixpath", "subprocess", "_posixsubprocess", "shutil"),
        *("sys", "pty", "commands", "popen2", "runpy", "code", "codeop", "pdb", "bdb", "signal"),
        *("socket", "_socket", "ssl", "http", "urllib", "requests", "ftplib", "smtplib", "aiohttp"),
        *("ctypes", "_ctypes", "cffi", "importlib", "imp", "zipimport", "pkgutil", "webbrowser"),
        *("pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "types"),
        *("multiprocessing", "asyncio", "threading", "_thread", "operator", "_operator"),
        *("timeit", "trace", "profile", "cProfile", "doctest", "pydoc", "linecache", "tempfile"),
        *("pip", "setuptools", "distutils", "venv", "site", "io", "_io", "builtins", "__builtin__"),
    }
)
HARMLESS = frozenset({("io", "BytesIO"), ("_io", "BytesIO"), ("types", "SimpleNamespace")})
# The few of these that build plain values.
HARMLESS_BUILTINS = frozenset(
    {
        *("set", "frozenset", "dict", "list", "tuple", "int", "float", "str", "bytes", "bool"),
        *("complex", "slice", "range", "bytearray", "object"),
    }
)
# Functions of torch and NumPy that load, compile or run what their arguments name.
DANGEROUS_PREFIXES = (
    *("torch.hub", "torch.load", "torch.serialization.load", "torch.package", "torch._inductor"),
    *("torch._dynamo", "torch.utils.cpp_extension", "torch.utils.collect_env", "torch.ops"),
    *("torch.multiprocessing", "torch.jit.load", "torch.jit._script", "torch.jit._serialization"),
    *("numpy.load", "numpy.testing", "numpy.f2py", "numpy.distutils", "torch.fx.graph_module"),
)


WITHOUT_PICKLES = (ModelKind.ONNX, ModelKind.SAFETENSORS, ModelKind.AOT_INDUCTOR)


def is_dangerous(found: Global) -> bool:
    """Whether the name is known to run commands or code, or can't be told."""
    module, name = found
    if found == UNKNOWN:
        return True
    top = module.partition(".")[0]
    if top in ("builtins", "__builtin__"):
        return name not in HARMLESS_BUILTINS
    dotted = f"{module}.{name}"
    named = any(dotted == p or dotted.startswith(f"{p}.") for p in DANGEROUS_PREFIXES)
    # `torch.nn.modules.module` with "torch.os.system" as its name walks through attributes.
    parts = name.split(".")
    walks = len(parts) > 1 and bool(DANGEROUS_MODULES.intersection(parts))
    return named or walks or (top in DANGEROUS_MODULES and found not in DATA_GLOBALS | HARMLESS)


def foreign_globals(path: Path, kind: ModelKind) -> tuple[Global, ...]:
    """Names that loading looks up and that are neither data nor torch.nn, dangerous ones first.

    TorchScript's own loader has no way to call Python, so of its pickles only dangerous names
    count, which no honest file has. Raises ModelFileError for a damaged file.
    """
    if kind in WITHOUT_PICKLES:
        return ()
    return in_order(found for found in file_globals(path) if not is_allowed(found, kind))


def is_allowed(found: Global, kind: ModelKind) -> bool:
    """Whether a file of that kind may name this without anybody being asked."""
    if kind is ModelKind.TORCHSCRIPT:
        return not is_dangerous(found)
    if kind is ModelKind.PICKLED_MODULE and is_module_part(found):
        return True
    return found in DATA_GLOBALS


def in_order(names: Iterable[Global]) -> tuple[Global, ...]:
    """Dangerous ones first, then by name."""
    return tuple(sorted(set(names), key=lambda found: (not is_dangerous(found), found)))


def program_globals(path: Path) -> tuple[tuple[Global, ...], tuple[Global, ...]]:
    """Foreign names of a torch.export file: outside of its sample inputs, and in those."""
    outside: set[Global] = set()
    inside: set[Global] = set()
    for member, names in member_globals(path):
        foreign = {found for found in names if not is_allowed(found, ModelKind.TORCH_EXPORT)}
        (inside if is_sample_input(member) else outside).update(foreign)
    return in_order(outside), in_order(inside)


def is_sample_input(member: str) -> bool:
    """Whether an archive's member holds the inputs that the model was exported with."""
    inner = member.replace("\\", "/").partition("/")[2]
    return inner.startswith("data/sample_inputs/") or member == "serialized_example_inputs.pt"


def check_globals(path: Path, kind: ModelKind) -> None:
    """Refuse a file whose pickles name anything but what its kind may.

    Of weights only dangerous names count: the loader puts inert objects in place of others. The
    sample inputs of a torch.export file don't count: the loader leaves them out.
    Raises UnsafeModelError that lists the names.
    """
    if kind in WITHOUT_PICKLES:
        return
    if kind is ModelKind.TORCH_EXPORT:
        bad, _ = program_globals(path)
    else:
        bad = foreign_globals(path, kind)
    if kind in (ModelKind.STATE_DICT, ModelKind.CHECKPOINT):
        bad = tuple(found for found in bad if is_dangerous(found))
    if bad:
        raise refusal(path, bad)


def shown(found: tuple[str, ...]) -> str:
    """A name as it may be printed: a hostile one holds line ends or a terminal's commands."""
    text = ".".join(found)
    plain = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
    return plain if len(plain) <= MOST_SHOWN else f"{plain[:MOST_SHOWN]}…"


def refusal(path: Path, names: tuple[Global, ...]) -> UnsafeModelError:
    """The error for a file that is not loaded."""
    listed = ", ".join(map(shown, names[:8]))
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return UnsafeModelError(
        f"Loading {path.name} would run code that it names: {listed}{more}. It was not loaded.",
        "If you trust its author, load it in PyTorch yourself and export it to ONNX or "
        "with torch.export.",
    )


def holds_only_data(path: Path) -> bool:
    """Whether a torch.save file holds tensors and containers but no module or other object."""
    return all(found in DATA_GLOBALS for found in file_globals(path))


def module_parts(path: Path) -> set[Global]:
    """The torch.nn classes that a pickled module names, and their activation functions."""
    return {found for found in file_globals(path) if is_module_part(found)}


def is_module_part(found: Global) -> bool:
    return found in MODULE_FUNCTIONS or is_torch_nn(found)


def is_torch_nn(found: Global) -> bool:
    """By name only; whether the class exists is decided where torch is imported."""
    module, name = found
    return module.startswith(MODULE_PREFIX) and name.isidentifier() and "__" not in name
