"""Numbers and units as a person writes them on the command line."""

from __future__ import annotations

import argparse
import re

UNITS_S = {"": 1.0, "s": 1.0, "ms": 1e-3, "m": 60.0, "min": 60.0}
UNITS_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
UNITS_BYTES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30}


def seconds(text: str) -> float:
    """`60s`, `500ms`, `2min`, or a plain number of seconds; above 0."""
    if re.match(r"-\.?\d", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not positive; write for example 60s")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text)
    if match is None or match[2] not in UNITS_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write for example 60s")
    return float(match[1]) * UNITS_S[match[2]]


def size(text: str) -> int:
    """`500MiB`, `2GB`, or a plain number of bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)", text)
    if match is None or match[2].lower() not in UNITS_BYTES:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write for example 500MiB")
    return int(float(match[1]) * UNITS_BYTES[match[2].lower()])


def share(text: str) -> float:
    """`2%` or `0.02`."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write for example 2%") from None


def whole(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def tolerance(text: str) -> float:
    """A number from 0."""
    return _from_0(text, "tolerance; write for example 1e-3")


def amount(text: str) -> float:
    """A number from 0."""
    return _from_0(text, "amount; write for example 500")


def _from_0(text: str, wanted: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no {wanted}")
    return value
