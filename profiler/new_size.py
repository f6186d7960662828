"""Inputs of another size than the run's, for what an engine does when a size is new."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from profiler.types import EngineKind, EngineSpec, Fill, InputSpec


class Resized(msgspec.Struct, frozen=True, kw_only=True):
    """`dimension` has `new_size` in place of `size`, in every input that has it."""

    dimension: str
    size: int
    new_size: int
    inputs: tuple[InputSpec, ...]


def resized(inputs: Sequence[InputSpec]) -> Resized | None:
    """Twice the first dynamic dimension; None where there is none, or where a file has the values.

    Dimensions that aren't declared (a TorchScript file's) may be anything, and are left alone.
    """
    found = next(
        (
            (symbol, size)
            for spec in inputs
            if not spec.guessed
            for symbol, size in zip(spec.symbols, spec.shape, strict=False)
            if symbol and size > 0
        ),
        None,
    )
    if found is None:
        return None
    dimension, size = found
    changed = tuple(_with_size(spec, dimension, 2 * size) for spec in inputs)
    if any(new.fill is Fill.FILE and new != old for new, old in zip(changed, inputs, strict=True)):
        return None
    return Resized(dimension=dimension, size=size, new_size=2 * size, inputs=changed)


def takes_any_size(spec: EngineSpec) -> bool:
    """Whether a lane is meant for more than one size.

    What torch.compile made of one size it makes anew of another, for minutes with a large model;
    so such a lane is tried only where it was asked for `dynamic=true`.
    """
    return spec.engine is not EngineKind.TORCH_COMPILE or spec.options.get("dynamic") is True


def _with_size(spec: InputSpec, dimension: str, size: int) -> InputSpec:
    shape = tuple(
        size if symbol == dimension else old
        for symbol, old in zip(spec.symbols, spec.shape, strict=True)
    )
    return msgspec.structs.replace(spec, shape=shape) if spec.symbols else spec
