"""`Load` commands for the small models, as the supervisor would send them."""

from __future__ import annotations

from pathlib import Path

from profiler.model_file import identify
from profiler.types import EngineKind, EngineSpec, Fill, InputSpec, Load
from tests.profiler.onnx_torch import models

X = (InputSpec(name="x", dtype="float32", shape=(1, 8)),)
PIXELS = (InputSpec(name="pixels", dtype="float32", shape=(1, 3, 64, 64)),)
TOKENS = (
    InputSpec(name="ids", dtype="int64", shape=(1, 16), fill=Fill.INTEGERS, high=100),
    InputSpec(name="mask", dtype="int64", shape=(1, 16), fill=Fill.ONES),
)


def load_command(
    engine: EngineKind,
    content: bytes,
    inputs: tuple[InputSpec, ...],
    folder: Path,
    **options: str | int | float | bool,
) -> Load:
    """Writes the model and a working directory into `folder`."""
    work_dir = folder / f"work-{engine.value}"
    work_dir.mkdir(exist_ok=True)
    return Load(
        spec=EngineSpec(label=engine.value, engine=engine, options=options),
        model=identify(models.write(content, folder)),
        inputs=inputs,
        work_dir=str(work_dir),
    )
