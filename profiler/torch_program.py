"""Export what a PyTorch lane runs as a program (.pt2) that needs nothing of ours. Child only."""

from __future__ import annotations

from pathlib import Path

import torch

from profiler.engines import torch_common
from profiler.errors import ConversionError, ProfilerError
from profiler.torch_files import first_line
from profiler.types import EngineKind, EngineSpec, InputSpec, Load, ModelSource


def save_program(source: ModelSource, inputs: tuple[InputSpec, ...], path: Path) -> None:
    """The module that the engines load, for just these sizes. Raises ConversionError."""
    spec = EngineSpec(label="program", engine=EngineKind.TORCH_EAGER)
    command = Load(spec=spec, model=source, inputs=inputs, work_dir=str(path.parent))
    try:
        with torch.no_grad():
            module, _ = torch_common.load_python_module(command)
            tensors = tuple(torch_common.make_tensors(command, module))
            program = torch.export.export(module, tensors)
            # Sample inputs would be pickled beside it.
            program.example_inputs = None
            torch.export.save(program, path)
    except ProfilerError:
        raise
    except Exception as error:
        # An export raises anything.
        raise ConversionError(
            f"The model can't be exported as a PyTorch program: {first_line(error)}",
            "Take the program of another engine's lane.",
        ) from error
