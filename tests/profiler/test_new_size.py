"""Which inputs a new size is tried with."""

from __future__ import annotations

from profiler.new_size import resized, takes_any_size
from profiler.types import EngineKind, EngineSpec, Fill, InputSpec

IDS = InputSpec(name="ids", dtype="int64", shape=(1, 16), symbols=("batch", "length"))


def test_the_first_dynamic_dimension_doubles_everywhere() -> None:
    mask = InputSpec(name="mask", dtype="bool", shape=(16, 1), symbols=("length", "batch"))
    found = resized((IDS, mask))
    assert found is not None
    assert (found.dimension, found.size, found.new_size) == ("batch", 1, 2)
    assert [spec.shape for spec in found.inputs] == [(2, 16), (16, 2)]


def test_nothing_is_tried_without_a_dynamic_dimension() -> None:
    fixed = InputSpec(name="x", dtype="float32", shape=(1, 8), symbols=(None, None))
    plain = InputSpec(name="x", dtype="float32", shape=(1, 8))
    guessed = InputSpec(name="x", dtype="float32", shape=(1,), symbols=("n",), guessed=True)
    filed = InputSpec(name="x", dtype="float32", shape=(1,), symbols=("n",), fill=Fill.FILE)
    for inputs in ((), (fixed,), (plain,), (guessed,), (filed,)):
        assert resized(inputs) is None
    found = resized((fixed, IDS))
    assert found is not None
    assert found.inputs[0] == fixed


def test_torch_compile_is_asked_only_where_it_compiled_for_any_size() -> None:
    def takes(engine: EngineKind, **options: str | int | float | bool) -> bool:
        return takes_any_size(EngineSpec(label="a", engine=engine, options=options))

    assert takes(EngineKind.ORT) and takes(EngineKind.TORCH_EAGER)
    assert takes(EngineKind.TORCH_COMPILE, dynamic=True)
    assert not takes(EngineKind.TORCH_COMPILE)
    assert not takes(EngineKind.TORCH_COMPILE, dynamic=False)
