"""What job processes are asked, and what they answer."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from profiler.types.models import Factory, InputSpec, ModelInfo, ModelSource


class Capabilities(Struct, frozen=True, kw_only=True):
    """What the engines can use here."""

    execution_providers: tuple[str, ...]
    cuda_devices: int


class LookAround(Struct, frozen=True, kw_only=True, tag=True):
    """Find out the Capabilities."""


class InspectJob(Struct, frozen=True, kw_only=True, tag=True):
    source: ModelSource


class GuessJob(Struct, frozen=True, kw_only=True, tag=True):
    """Which factories may the weights of this file belong to?"""

    source: ModelSource


class ConvertJob(Struct, frozen=True, kw_only=True, tag=True):
    source: ModelSource
    inputs: tuple[InputSpec, ...]
    out_dir: str


class PrecisionJob(Struct, frozen=True, kw_only=True, tag=True):
    """An ONNX file in another precision; `inputs` calibrate static quantization."""

    source: ModelSource
    precision: str
    inputs: tuple[InputSpec, ...]
    out_dir: str


class ProgramJob(Struct, frozen=True, kw_only=True, tag=True):
    """Write what a PyTorch lane runs to `path`, as an exported program."""

    source: ModelSource
    inputs: tuple[InputSpec, ...]
    path: str


class BuildJob(Struct, frozen=True, kw_only=True, tag=True):
    """Write a model of `transformers` with random weights into the folder `path`.

    `pretrained`: as the library's `from_pretrained` reads it, else with the module's own names.
    """

    model_class: str
    config_class: str
    config: dict[str, Any]
    pretrained: bool
    seed: int
    path: str


class JobProgress(Struct, frozen=True, kw_only=True, tag=True):
    text: str


class Inspected(Struct, frozen=True, kw_only=True, tag=True):
    info: ModelInfo


class LookedAround(Struct, frozen=True, kw_only=True, tag=True):
    capabilities: Capabilities


class Guesses(Struct, frozen=True, kw_only=True, tag=True):
    """Factories that fit the weights, best first; `keys` are some of the weights' names."""

    factories: tuple[Factory, ...] = ()
    keys: tuple[str, ...] = ()
    count: int = 0
    notes: tuple[str, ...] = ()


class Built(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to a BuildJob: it lies there."""


class Converted(Struct, frozen=True, kw_only=True, tag=True):
    model: ModelSource
    notes: tuple[str, ...] = ()
    duration_ns: int = 0
