"""Input values: InputSpec -> arrays, and what a person writes -> InputSpec."""

from __future__ import annotations

import math
import re
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from profiler import tensor_files
from profiler.aligned import aligned
from profiler.errors import InputError
from profiler.types import Fill, InputSpec

DTYPES = (
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
)
BOUNDED = (Fill.UNIFORM, Fill.INTEGERS)
# `NAME=DTYPE[1,128]:FILL(LOW,HIGH)`, each part after the name optional: `ids=int64`,
# `ids=[1,128]`, `ids=integers(0,100)`, `ids=a.npy`.
_NUMBER = r"\s*([-+\d.e]+)\s*"
_FILLS = "normal|uniform|integers|ones|zeros"
_OVERRIDE = re.compile(
    rf"^(?P<name>.+?)=(?P<dtype>(?!{_FILLS})[a-z]+\d*)?(?:\[(?P<dims>[\d,\s]*)\])?"
    rf":?(?P<fill>{_FILLS})?(?:\({_NUMBER},{_NUMBER}\))?$"
)

Array = NDArray[Any]


def make_arrays(specs: Sequence[InputSpec]) -> dict[str, Array]:
    """Arrays by input name, aligned. The same specs give the same values in every process.

    Raises InputError for a file that can't be read or doesn't fit.
    """
    return {spec.name: aligned(make_array(spec)) for spec in specs}


def make_array(spec: InputSpec) -> Array:
    """One input's values; seeded by the spec's seed and its name. Raises InputError."""
    dtype = numpy_dtype(spec.dtype)
    try:
        values = _filled(spec, dtype)
        if spec.limit is None or spec.fill is Fill.FILE:
            return values
        return np.clip(values, 0, spec.limit - 1)
    except MemoryError as error:
        raise _too_big(spec) from error
    except ValueError as error:
        if math.prod(spec.shape) * dtype.itemsize > sys.maxsize:
            raise _too_big(spec) from error
        raise InputError(
            f"Can't fill {spec.name}, which is {spec.dtype}: {error}", "Take other values."
        ) from error


def _too_big(spec: InputSpec) -> InputError:
    return InputError(
        f"{spec.name} is too big for this machine's memory: {describe_shape(spec)}.",
        "Give its dimensions smaller sizes.",
    )


def _filled(spec: InputSpec, dtype: np.dtype[Any]) -> Array:
    rng = np.random.default_rng((spec.seed, zlib.crc32(spec.name.encode())))
    match spec.fill:
        case Fill.ZEROS:
            return np.zeros(spec.shape, dtype)
        case Fill.ONES:
            return np.ones(spec.shape, dtype)
        case Fill.NORMAL:
            return _cast(rng.standard_normal(spec.shape), dtype)
        case Fill.UNIFORM:
            return _cast(rng.uniform(spec.low, spec.high, spec.shape), dtype)
        case Fill.INTEGERS:
            high = max(int(spec.high), int(spec.low) + 1)
            return _cast(rng.integers(int(spec.low), high, spec.shape), dtype)
        case Fill.FILE:
            return _from_file(spec, dtype)


def numpy_dtype(name: str) -> np.dtype[Any]:
    """Raises InputError for a name that isn't in DTYPES."""
    if name not in DTYPES:
        raise InputError(f"There is no dtype {name!r}.", f"Use one of: {', '.join(DTYPES)}.")
    if name == "bfloat16":
        import ml_dtypes

        found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return found
    return np.dtype(name)


def apply_overrides(specs: Sequence[InputSpec], texts: Sequence[str]) -> tuple[InputSpec, ...]:
    """Apply what a person wrote: `NAME=DTYPE[DIMS]`, `NAME=[DIMS]`, or `NAME=FILE.npy`.

    Raises InputError that lists what is possible. Dimensions of one symbol change together.
    """
    found = tuple(specs)
    for text in texts:
        name, _, value = text.partition("=")
        spec = _named(found, name)
        if value.endswith(tensor_files.SUFFIXES):
            changed = _with_file(spec, Path(value))
        else:
            match = _OVERRIDE.match(text)
            if match is None or not value:
                raise InputError(
                    f"Can't read the input {text!r}.",
                    "Write NAME=DTYPE[1,128], NAME=uniform(0,255) or NAME=FILE.npy.",
                )
            changed = _overridden(spec, match["dtype"], match["dims"])
            if match["fill"]:
                changed = with_fill(changed, Fill(match["fill"]), match[5], match[6])
        found = replace(found, changed)
    return found


def apply_data(specs: Sequence[InputSpec], path: Path) -> tuple[InputSpec, ...]:
    """Take values for every input from one file, or from a folder with input_0.pb, input_1.pb, ...

    By name where the names are the model's, else in order. Raises InputError.
    """
    values = tensor_files.read_all(path)
    names = [spec.name for spec in specs]
    by_name = all(name in values for name in names)
    if not by_name and len(values) < len(names):
        raise InputError(
            f"{path} holds {len(values)} arrays ({', '.join(values)}), the model has "
            f"{len(names)} inputs.",
            f"Give values for {', '.join(names)}.",
        )
    found = tuple(specs)
    for number, spec in enumerate(specs):
        key = spec.name if by_name else list(values)[number]
        place = path / f"input_{list(values).index(key)}.pb" if path.is_dir() else path
        named = msgspec.structs.replace(
            spec, fill=Fill.FILE, path=str(place.resolve()), path_key=key
        )
        found = replace(found, with_shape(named, values[key].shape))
    make_arrays(found)
    return found


def with_fill(
    spec: InputSpec, fill: Fill, low: float | str | None = None, high: float | str | None = None
) -> InputSpec:
    """Fill in another way; bounds for UNIFORM and INTEGERS. Raises InputError."""
    try:
        lowest = spec.low if low is None else float(low)
        highest = spec.high if high is None else float(high)
    except ValueError as error:
        raise InputError(f"{low}, {high} are no bounds.", "Write for example (0, 255).") from error
    if low is not None and fill not in BOUNDED:
        raise InputError(f"The fill {fill.value} takes no bounds.", "Leave them out.")
    if fill in BOUNDED and not lowest < highest:
        raise InputError(f"{lowest:g} is not below {highest:g}.", "Write (LOW, HIGH).")
    if spec.limit is not None and fill in BOUNDED and not 0 <= lowest < highest <= spec.limit:
        raise InputError(
            f"The values of {spec.name} index a table of {spec.limit} rows.",
            f"Take bounds within 0 and {spec.limit}.",
        )
    return msgspec.structs.replace(spec, fill=fill, path=None, low=lowest, high=highest)


def replace(specs: Sequence[InputSpec], changed: InputSpec) -> tuple[InputSpec, ...]:
    """Put one changed spec in; its dynamic dimensions follow in the other inputs."""
    found = tuple(changed if spec.name == changed.name else spec for spec in specs)
    for symbol, size in zip(changed.symbols, changed.shape, strict=False):
        if symbol:
            found = with_symbol(found, symbol, size)
    return found


def with_symbol(specs: Sequence[InputSpec], symbol: str, size: int) -> tuple[InputSpec, ...]:
    """Give a dynamic dimension a size wherever it stands."""
    return tuple(
        msgspec.structs.replace(
            spec,
            shape=tuple(
                size if position < len(spec.symbols) and spec.symbols[position] == symbol else dim
                for position, dim in enumerate(spec.shape)
            ),
        )
        for spec in specs
    )


def with_shape(spec: InputSpec, shape: tuple[int, ...]) -> InputSpec:
    """Raises InputError when the rank or a fixed dimension differs from the model's."""
    if any(size < 0 for size in shape):
        raise InputError(f"{spec.name} can't have a negative dimension.")
    if spec.guessed:
        symbols = spec.symbols if len(shape) == len(spec.shape) else (None,) * len(shape)
        return msgspec.structs.replace(spec, shape=shape, symbols=symbols)
    if len(shape) != len(spec.shape):
        raise InputError(
            f"{spec.name} has {len(spec.shape)} dimensions, not {len(shape)}.",
            f"Its shape is {describe_shape(spec)}.",
        )
    for position, (new, old) in enumerate(zip(shape, spec.shape, strict=True)):
        fixed = position < len(spec.symbols) and spec.symbols[position] is None
        if fixed and new != old:
            raise InputError(
                f"Dimension {position} of {spec.name} is fixed at {old} by the model.",
                f"Its shape is {describe_shape(spec)}.",
            )
    return msgspec.structs.replace(spec, shape=shape)


def describe_shape(spec: InputSpec) -> str:
    """`[batch=1, 3, 224, 224]`."""
    symbols = (*spec.symbols, *[None] * len(spec.shape))
    dims = zip(symbols, spec.shape, strict=False)
    return f"[{', '.join(f'{symbol}={size}' if symbol else str(size) for symbol, size in dims)}]"


def with_dtype(spec: InputSpec, dtype: str) -> InputSpec:
    """Raises InputError when the model declares another one."""
    if dtype == spec.dtype:
        return spec
    numpy_dtype(dtype)
    if not spec.guessed:
        raise InputError(
            f"{spec.name} is {spec.dtype} in the model, not {dtype}.",
            f"Write {spec.name}={spec.dtype}[...].",
        )
    fill = spec.fill
    if fill is not Fill.FILE:
        fill = Fill.NORMAL if dtype.startswith(("float", "bfloat")) else Fill.ONES
    return msgspec.structs.replace(spec, dtype=dtype, fill=fill)


def _named(specs: Sequence[InputSpec], name: str) -> InputSpec:
    for spec in specs:
        if spec.name == name:
            return spec
    names = ", ".join(spec.name for spec in specs) or "none"
    raise InputError(f"The model has no input {name!r}.", f"Its inputs: {names}.")


def _overridden(spec: InputSpec, dtype: str | None, dims: str | None) -> InputSpec:
    if dtype:
        spec = with_dtype(spec, dtype)
    if dims is None:
        return spec
    shape = tuple(int(size) for size in dims.split(",") if size.strip())
    return with_shape(spec, shape)


def _with_file(spec: InputSpec, path: Path) -> InputSpec:
    named = msgspec.structs.replace(spec, fill=Fill.FILE, path=str(path.resolve()), path_key="")
    array = tensor_files.read_values(path, spec.name)
    return msgspec.structs.replace(with_shape(named, array.shape), fill=Fill.FILE)


def _from_file(spec: InputSpec, dtype: np.dtype[Any]) -> Array:
    array = tensor_files.read_values(Path(spec.path or ""), spec.path_key or spec.name)
    if array.shape != spec.shape:
        raise InputError(
            f"{spec.path} holds {list(array.shape)}, but {spec.name} is {list(spec.shape)}.",
            "Change the input's shape, or take another file.",
        )
    limit = spec.limit
    if limit is not None and array.size and not -limit <= array.min() <= array.max() < limit:
        raise InputError(
            f"{spec.path} holds values from {array.min()} to {array.max()}, but {spec.name} "
            f"indexes a table of {limit} rows.",
            "Take values that the model knows.",
        )
    return _cast(array, dtype)


def _cast(values: Array, dtype: np.dtype[Any]) -> Array:
    return values.astype(dtype, copy=False)
