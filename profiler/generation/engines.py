"""Which engine generates text, by the lane's engine and the kind of its model."""

from __future__ import annotations

from profiler.errors import EngineError
from profiler.generation.base import Generator
from profiler.types import EngineKind, Load, ModelKind


def create_generator(command: Load) -> Generator:
    """The lane's engine, its framework imported, nothing loaded yet. Raises EngineError."""
    engine, kind = command.spec.engine, command.model.kind
    if engine is EngineKind.ENDPOINT:
        from profiler.serving.endpoint_lane import EndpointLane

        return EndpointLane(command)
    if engine is EngineKind.ORT and kind is ModelKind.ONNX:
        from profiler.generation.ort_generation import OrtGenerator

        return OrtGenerator(command)
    if engine in (EngineKind.TORCH_EAGER, EngineKind.TORCH_COMPILE):
        if kind is ModelKind.TRANSFORMERS:
            from profiler.generation.torch_generation import TransformersGenerator

            return TransformersGenerator(command)
        if kind is ModelKind.ONNX:
            from profiler.generation.imported_generation import ImportedGenerator

            return ImportedGenerator(command)
    raise EngineError(
        f"{engine.value} can't generate text from a file of kind {kind.value}.",
        "There are ort, torch-eager and torch-compile for ONNX files and transformers folders.",
    )
