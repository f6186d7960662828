"""Engines, one file each; a file's `ENGINE` and `create` make it known."""

from __future__ import annotations

import importlib
import pkgutil

from profiler.engines.base import Engine
from profiler.errors import EngineError
from profiler.types import Load

__all__ = ["Engine", "create_engine"]


def create_engine(command: Load) -> Engine:
    """The engine that the lane asks for, its framework imported, nothing loaded yet."""
    if command.generation is not None:
        from profiler.generation.engines import create_generator

        return create_generator(command)
    for found in pkgutil.iter_modules(__path__):
        if found.name == command.spec.engine.value.replace("-", "_"):
            module = importlib.import_module(f"{__name__}.{found.name}")
            engine: Engine = module.create(command)
            return engine
    raise EngineError(f"There is no engine {command.spec.engine.value!r}.")
