"""Sequences and optionals: Python lists of tensors, and None."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value

Tensors = Sequence[torch.Tensor]


@op("SequenceConstruct")
def construct(context: Context, *values: Value) -> Value:
    return context.call(as_list, *values)


def as_list(*tensors: torch.Tensor) -> list[torch.Tensor]:
    return list(tensors)


@op("SequenceEmpty")
def empty(context: Context) -> Value:
    return context.call(as_list)


@op("SequenceInsert")
def insert(context: Context, sequence: Value, value: Value, at: Value = None) -> Value:
    place = context.number(at) if at is not None else None
    return context.call(inserted, sequence, value, place)


def inserted(sequence: Tensors, value: torch.Tensor, at: int | None) -> list[torch.Tensor]:
    found = list(sequence)
    found.insert(len(found) if at is None else int(at), value)
    return found


@op("SequenceAt")
def at_place(context: Context, sequence: Value, at: Value) -> Value:
    return context.call(item, sequence, context.number(at))


def item(sequence: Tensors, at: int) -> torch.Tensor:
    return sequence[int(at)]


@op("SequenceErase")
def erase(context: Context, sequence: Value, at: Value = None) -> Value:
    return context.call(erased, sequence, context.number(at) if at is not None else -1)


def erased(sequence: Tensors, at: int) -> list[torch.Tensor]:
    found = list(sequence)
    del found[int(at)]
    return found


@op("SequenceLength")
def length(context: Context, sequence: Value) -> Value:
    return context.call(length_tensor, sequence)


def length_tensor(sequence: Tensors) -> torch.Tensor:
    return torch.tensor(len(sequence), dtype=torch.int64)


@op("ConcatFromSequence")
def concat(context: Context, sequence: Value) -> Value:
    axis = int(context.attribute("axis"))
    return context.call(joined, sequence, axis, context.flag("new_axis"))


def joined(sequence: Tensors, axis: int, new_axis: bool) -> torch.Tensor:
    return torch.stack(list(sequence), axis) if new_axis else torch.cat(list(sequence), axis)


@op("SplitToSequence")
def split(context: Context, x: Value, sizes: Value = None) -> Value:
    axis, keep = int(context.attribute("axis", 0)), context.flag("keepdims", 1)
    if sizes is None:
        return context.call(cut, x, 1, axis, keep)
    shape = context.shape(1)
    parts = context.sizes(sizes) if shape is None or len(shape) else context.number(sizes)
    return context.call(cut, x, parts, axis, True)


def cut(x: torch.Tensor, parts: Any, axis: int, keep: bool) -> list[torch.Tensor]:
    """In parts of one size, or of sizes that are given."""
    found = list(torch.split(x, parts, axis))
    return found if keep else [part.squeeze(axis) for part in found]


@op("Optional")
def optional(context: Context, value: Value = None) -> Value:
    return context.call(itself, value)


def itself(value: Any = None) -> Any:
    return value


@op("OptionalGetElement")
def element(context: Context, value: Value) -> Value:
    del context
    return value


@op("OptionalHasElement")
def has_element(context: Context, value: Value = None) -> Value:
    return context.call(is_there, value)


def is_there(value: Any = None) -> torch.Tensor:
    return torch.tensor(value is not None)
