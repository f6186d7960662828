"""Protocol buffers' wire format, just enough to look at ONNX files without their library."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
LARGEST_FIELD = 30

Buffer = bytes | mmap.mmap


class TruncatedError(ValueError):
    """A field goes past the end of its message."""


@dataclass(frozen=True)
class Field:
    """One field: `value` of a number; `start` and `end` of what has a length, in the buffer."""

    number: int
    wire: int
    value: int
    start: int
    end: int


def fields(data: Buffer, start: int, end: int) -> Iterator[Field]:
    """The fields of the message in data[start:end]; nothing that has a length is copied.

    Raises TruncatedError, or ValueError for what is no message.
    """
    at = start
    while at < end:
        tag, at = varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if not 0 < number <= LARGEST_FIELD:
            raise ValueError(f"field {number}")
        value = 0
        begin = at
        if wire == LENGTH:
            length, begin = varint(data, at, end)
            at = begin + length
        elif wire == VARINT:
            value, at = varint(data, at, end)
        elif wire in (FIXED32, FIXED64):
            at += 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        if at > end:
            raise TruncatedError(f"field {number}")
        yield Field(number, wire, value, begin, at)


def varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    """The number at a place, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise TruncatedError("number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("number")


def signed(value: int) -> int:
    """An int64 as it was before it became a varint."""
    return value - (1 << 64) if value >= 1 << 63 else value


def text(data: Buffer, field: Field) -> str:
    """A string field."""
    return data[field.start : field.end].decode("utf-8", "replace")
