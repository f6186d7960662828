"""What a model file is, and its inputs."""

from __future__ import annotations

import enum
from typing import Any

from msgspec import Struct


class ModelKind(enum.StrEnum):
    """What a model file is, told without unpickling it."""

    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"
    TORCH_EXPORT = "torch-export"
    AOT_INDUCTOR = "aot-inductor"
    PICKLED_MODULE = "pickled-module"
    STATE_DICT = "state-dict"
    CHECKPOINT = "checkpoint"
    SAFETENSORS = "safetensors"
    TRANSFORMERS = "transformers"
    ENDPOINT = "endpoint"


class Fill(enum.StrEnum):
    """How an input's values are made."""

    NORMAL = "normal"
    UNIFORM = "uniform"
    INTEGERS = "integers"
    ONES = "ones"
    ZEROS = "zeros"
    FILE = "file"


class Factory(Struct, frozen=True, kw_only=True):
    """What builds the module that a file of weights belongs to.

    `target` is `package.module:name` or `path/to/file.py:name`. `sha256` is the Python file's, and
    empty for a package: consent counts for just that file.
    """

    target: str
    arguments: dict[str, Any] = {}
    sha256: str = ""


class ModelSource(Struct, frozen=True, kw_only=True):
    """A model file.

    `derived_from` is the sha256 of the file that it was converted from. `factory` builds the module
    where the file holds weights only. `trusted`: the person agreed that code of the file, or of the
    factory, runs in a child process; never read from a session file.
    """

    path: str
    kind: ModelKind
    sha256: str
    size_bytes: int
    opset: int | None = None
    producer: str = ""
    derived_from: str | None = None
    factory: Factory | None = None
    trusted: bool = False


class InputSpec(Struct, frozen=True, kw_only=True):
    """One model input and how to fill it.

    `shape` is concrete. `symbols` has one entry a dimension: the dynamic dimension's name, or None
    where the model fixes it; equal names are one dimension. `dtype` is NumPy's name ("float32",
    "int64", "bool"; also "bfloat16"). `low`/`high`: bounds of INTEGERS (high exclusive, at most
    the vocabulary) and UNIFORM. `path` is the file of `Fill.FILE`, `path_key` the
    array's name in it where it isn't the input's. `limit`: the values index a table of so many
    rows, which no fill goes past. `guessed`: the model declares neither dtype nor shape
    (TorchScript, a pickled module), so that any may be tried.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    symbols: tuple[str | None, ...] = ()
    fill: Fill = Fill.NORMAL
    low: float = 0.0
    high: float = 1.0
    path: str | None = None
    path_key: str = ""
    seed: int = 0
    guessed: bool = False
    limit: int | None = None


class TensorSpec(Struct, frozen=True, kw_only=True):
    """An output, as far as the file tells: dims are ints, or names of dynamic dimensions."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class CacheTensor(Struct, frozen=True, kw_only=True):
    """One tensor of a KV cache: the input that takes it, and the output that gives it, longer.

    `shape` as the file has it; `axis` is the one that counts tokens.
    """

    past: str
    present: str
    dtype: str
    shape: tuple[int | str, ...]
    axis: int


class CacheLayout(Struct, frozen=True, kw_only=True):
    """How a model that generates text is called: its tokens, its logits, its KV cache.

    `convention` says whose names they are. `roles` has the other inputs, by name: "attention_mask",
    "position_ids", "cache_position", "use_cache_branch", "total_length" or "past_length". `dtypes`
    are theirs and the tokens'. `shared_buffer`: past and present may be one buffer of the full
    length, which the model writes in place. `vocabulary` and `most_tokens` are 0 where the file
    doesn't tell.
    """

    convention: str
    tokens: str = "input_ids"
    logits: str = "logits"
    cache: tuple[CacheTensor, ...] = ()
    roles: dict[str, str] = {}
    dtypes: dict[str, str] = {}
    layers: int = 0
    heads: int = 0
    head_size: int = 0
    vocabulary: int = 0
    most_tokens: int = 0
    batch: int = 1
    shared_buffer: bool = False


class ModelInfo(Struct, frozen=True, kw_only=True):
    """What an inspection process found out about a model file.

    `generation` tells how it generates text; None for a model without a KV cache.
    """

    source: ModelSource
    inputs: tuple[InputSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameter_count: int = 0
    weights_bytes: int = 0
    node_count: int = 0
    op_counts: dict[str, int] = {}
    missing_torch_ops: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    generation: CacheLayout | None = None
