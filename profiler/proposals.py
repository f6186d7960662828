"""Sensible sizes and values for an input of which only names and a type are known: pure."""

from __future__ import annotations

from collections.abc import Sequence

from profiler.types import Fill, InputSpec

BATCH, SEQUENCE, IMAGE = 1, 128, 224
# Parts of a dynamic dimension's name, and the size that it takes.
SIZES: tuple[tuple[tuple[str, ...], int], ...] = (
    (("batch", "bs"), BATCH),
    (("past",), 0),
    (("seq", "token", "length", "len", "time", "frames"), SEQUENCE),
    (("height", "width", "image", "img"), IMAGE),
    (("channel",), 3),
)
MASK_NAMES = ("mask",)
ZERO_NAMES = ("token_type", "segment")
INDEX_NAMES = ("position",)
TOKEN_NAMES = ("ids", "tokens", "labels")
# Only its model's own rates make sense; this one is the most common for speech.
RATE_NAMES = ("sr", "sample_rate", "sampling_rate")
RATE = 16_000
# What a recurrent network passes on: [layers, batch, width], the batch often without a name.
STATE_NAMES = ("state", "hidden", "cell")
UNKNOWN_VOCABULARY = 100


def propose_input(
    name: str,
    dtype: str,
    dims: Sequence[int | str | None],
    vocabulary: int | None = None,
) -> InputSpec:
    """An input with concrete sizes; `dims` holds ints, names of dynamic dimensions, or None.

    `vocabulary`: rows of the table that the values index, where known.
    """
    shape: list[int] = []
    symbols: list[str | None] = []
    for position, dim in enumerate(dims):
        if isinstance(dim, int) and dim > 0:
            shape.append(dim)
            symbols.append(None)
        else:
            made_up = made_up_symbol(name, position)
            symbol = dim if isinstance(dim, str) and dim else made_up
            shape.append(_size(name, "" if symbol == made_up else symbol, position, dims))
            symbols.append(symbol)
    fill, low, high = _fill(name.lower(), dtype, vocabulary)
    indexes = bool(vocabulary) and dtype.startswith(("int", "uint"))
    return InputSpec(
        name=name,
        dtype=dtype,
        shape=tuple(shape),
        symbols=tuple(symbols),
        fill=fill,
        low=float(low),
        high=float(high),
        limit=vocabulary if indexes else None,
    )


def made_up_symbol(name: str, position: int) -> str:
    """For a dynamic dimension without a name; it tells nothing of the size."""
    return f"{name}_dim{position}"


def _size(name: str, symbol: str, position: int, dims: Sequence[int | str | None]) -> int:
    lowered = symbol.lower()
    for parts, size in SIZES:
        if any(part in lowered for part in parts):
            return size
    is_state = len(dims) == 3 and any(part in name.lower() for part in STATE_NAMES)
    if position == 0 or (is_state and position == 1):
        return BATCH
    # [batch, channels, height, width] with fixed channels looks like an image.
    if len(dims) == 4 and position >= 2 and dims[1] in (1, 3, 4):
        return IMAGE
    if len(dims) == 4 and position == 1:
        return 3
    return SEQUENCE


def _fill(name: str, dtype: str, vocabulary: int | None) -> tuple[Fill, int, int]:
    """How to fill, and the bounds."""
    if dtype == "bool" or any(part in name for part in MASK_NAMES):
        return Fill.ONES, 0, 1
    if not dtype.startswith(("int", "uint")):
        return Fill.NORMAL, 0, 1
    if any(part in name for part in ZERO_NAMES):
        return Fill.ZEROS, 0, 1
    if vocabulary:
        return Fill.INTEGERS, 0, vocabulary
    if name in RATE_NAMES:
        return Fill.INTEGERS, RATE, RATE + 1
    if any(part in name for part in (*TOKEN_NAMES, *INDEX_NAMES)):
        return Fill.INTEGERS, 0, UNKNOWN_VOCABULARY
    return Fill.ONES, 0, 1
