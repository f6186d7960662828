"""Lanes as a person writes them: NAME=ENGINE[,key=value...], and what each engine takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from profiler.errors import PlanError
from profiler.model_file import Cancelled, identify
from profiler.types import EngineKind, EngineSpec, ModelKind, ModelSource

Value = str | int | float | bool
INTEGER, COUNT, FLAG, TEXT = "an integer", "an integer from 1", "true or false", "text"
# A form that a file may have to take, beside precisions.
ONNX = "ONNX"
FLAGS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Option:
    """What values an option takes: `choices`, INTEGER, COUNT, FLAG or a TEXT like `example`."""

    help: str
    takes: str = TEXT
    choices: tuple[str, ...] = ()
    example: str = ""
    pattern: str = ".+"

    def parsed(self, key: str, text: str) -> Value:
        """The value that a person wrote. Raises PlanError that lists what is possible."""
        if self.choices and text not in self.choices:
            raise PlanError(f"{key} can't be {text!r}.", f"It can be: {', '.join(self.choices)}.")
        if self.takes == FLAG:
            if text not in FLAGS:
                raise PlanError(f"{key} can't be {text!r}.", "It can be: true, false.")
            return FLAGS[text]
        if self.takes in (INTEGER, COUNT):
            if not text.isdecimal() or (self.takes == COUNT and int(text) < 1):
                raise PlanError(f"{key} can't be {text!r}.", f"It takes {self.takes}.")
            return int(text)
        if not re.fullmatch(self.pattern, text):
            raise PlanError(f"{key} can't be {text[:100]!r}.", f"It looks like: {self.example}.")
        return text


PRECISION_HELP = "numbers that the model computes with; default: as the file has it"
TORCH_PRECISION = Option(PRECISION_HELP, choices=("fp32", "bf16", "fp16"))
THREADS = {
    "intra_op_threads": Option("threads within an operator; 0: as many as cores", INTEGER),
    "inter_op_threads": Option("threads across operators", INTEGER),
    "callers": Option("threads that call at once, as a server's do; default: 1", COUNT),
}
TORCH = {
    **THREADS,
    "keep_memory": Option("the C library keeps freed memory for the next call (glibc)", FLAG),
}
OPTIONS: dict[EngineKind, dict[str, Option]] = {
    EngineKind.ORT: {
        "execution_provider": Option("who runs the nodes", example="CPUExecutionProvider"),
        "graph_optimization_level": Option(
            "how far the graph is rewritten", choices=("disable", "basic", "extended", "all")
        ),
        "execution_mode": Option("order of nodes", choices=("sequential", "parallel")),
        **THREADS,
        "precision": Option(PRECISION_HELP, choices=("fp32", "fp16", "int8", "int8-static")),
        "allow_spinning": Option("threads spin within a call, waiting for work", FLAG),
        "stop_spinning": Option(
            "threads stop spinning when a call ends (else some milliseconds later)", FLAG
        ),
        "memory_arena": Option("keep freed memory for the next call", FLAG),
        "memory_pattern": Option("allocate a call's memory in one block", FLAG),
        "io_binding": Option("bind inputs and outputs once, before the calls", FLAG),
        "free_dimensions": Option(
            "fix dynamic dimensions",
            example="batch:1;sequence:128",
            pattern=r"[^:;]+:\d+(;[^:;]+:\d+)*",
        ),
    },
    EngineKind.TORCH_EAGER: {
        **TORCH,
        "precision": Option(PRECISION_HELP, choices=(*TORCH_PRECISION.choices, "int8")),
    },
    EngineKind.TORCH_SCRIPT: {
        **TORCH,
        "precision": TORCH_PRECISION,
        "freeze": Option("torch.jit.freeze: weights become constants", FLAG),
    },
    EngineKind.TORCH_COMPILE: {
        **TORCH,
        "precision": TORCH_PRECISION,
        "mode": Option(
            "torch.compile's mode",
            choices=("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"),
        ),
        "dynamic": Option("compile for any size of dynamic dimensions", FLAG),
    },
    EngineKind.TORCH_EXPORT: {**TORCH, "precision": TORCH_PRECISION},
    EngineKind.ENDPOINT: {},
}
_TORCH_GENERATION = {
    "cache": Option("how the KV cache is kept", choices=("dynamic", "static")),
    "attention": Option("transformers' attention", choices=("sdpa", "eager")),
    "precision": Option("of weights and cache", choices=("fp32", "fp16", "bf16")),
}


def _without(engine: EngineKind, *names: str) -> dict[str, Option]:
    return {name: option for name, option in OPTIONS[engine].items() if name not in names}


# What engines take where they generate text: one generation at a time, from the file as it is.
GENERATION_OPTIONS: dict[EngineKind, dict[str, Option]] = {
    EngineKind.ORT: {
        **_without(EngineKind.ORT, "io_binding", "callers", "precision"),
        "shared_cache": Option("past and present cache in one buffer", FLAG),
    },
    EngineKind.TORCH_EAGER: {**_without(EngineKind.TORCH_EAGER, "callers"), **_TORCH_GENERATION},
    EngineKind.TORCH_COMPILE: {
        **_without(EngineKind.TORCH_COMPILE, "callers"),
        **_TORCH_GENERATION,
    },
    EngineKind.ENDPOINT: {
        "url": Option(
            "an OpenAI-compatible server", example="http://127.0.0.1:8000/v1", pattern="https?://.+"
        ),
        "served_model": Option("the model's name there; empty: its first", example="my-model"),
        "api": Option("which of its interfaces", choices=("completions", "chat")),
        "concurrency": Option("requests in flight at once", INTEGER),
        "rate": Option(
            "requests a second, arriving at random (Poisson)",
            example="2.5",
            pattern=r"\d+(\.\d+)?",
        ),
        "requests": Option("requests in a turn", INTEGER),
        "key_variable": Option(
            "environment variable with the server's key", example="MY_KEY", pattern=r"\w+"
        ),
    },
}
# Of every engine; they become fields of the lane.
DEVICE = Option("where it runs", example="cpu or cuda:0", pattern=r"cpu|cuda(:[0-9]{1,3})?")
MODEL = Option("another model file for this lane", example="model-int8.onnx")
COMMON = {"device": DEVICE, "model": MODEL}

# Kinds of file that an engine can't take; all others it takes itself, or in a converted form.
REFUSED: dict[EngineKind, frozenset[ModelKind]] = {
    # Native code has no graph to convert, trace or compile.
    EngineKind.ORT: frozenset({ModelKind.AOT_INDUCTOR}),
    EngineKind.TORCH_COMPILE: frozenset({ModelKind.AOT_INDUCTOR}),
    EngineKind.TORCH_SCRIPT: frozenset(
        {ModelKind.ONNX, ModelKind.TORCH_EXPORT, ModelKind.AOT_INDUCTOR}
    ),
    EngineKind.TORCH_EXPORT: frozenset(ModelKind) - {ModelKind.TORCH_EXPORT},
    EngineKind.ENDPOINT: frozenset(ModelKind),
}
# What takes part in a generation: these with a file of these kinds, an endpoint with any.
GENERATING = (EngineKind.ORT, EngineKind.TORCH_EAGER, EngineKind.TORCH_COMPILE)
GENERATED_FROM = (ModelKind.ONNX, ModelKind.TRANSFORMERS)


def takes(engine: EngineKind, kind: ModelKind) -> bool:
    """Whether the engine can run a file of that kind, itself or in a converted form."""
    if kind in (ModelKind.TRANSFORMERS, ModelKind.ENDPOINT):
        return False
    return kind not in REFUSED.get(engine, frozenset())


def needs_onnx_form(spec: EngineSpec, model: ModelSource) -> bool:
    """ONNX Runtime takes ONNX only; PyTorch engines import an ONNX file themselves."""
    return spec.engine is EngineKind.ORT and model.kind is not ModelKind.ONNX


def forms(spec: EngineSpec, model: ModelSource) -> list[str]:
    """What the lane's file has to become, one after the other: ONNX, then a precision.

    PyTorch casts the module that it has loaded; ONNX Runtime needs another file.
    """
    if spec.engine is not EngineKind.ORT:
        return []
    precision = str(spec.options.get("precision", "fp32"))
    return [ONNX] * needs_onnx_form(spec, model) + [precision] * (precision != "fp32")


def generates(engine: EngineKind, kind: ModelKind) -> bool:
    """Whether the engine can generate text from a file of that kind."""
    return engine is EngineKind.ENDPOINT or (engine in GENERATING and kind in GENERATED_FROM)


def options_of(engine: EngineKind, *, generation: bool = False) -> dict[str, Option]:
    """What the engine takes. Empty for one that has no part in it."""
    return GENERATION_OPTIONS.get(engine, {}) if generation else OPTIONS[engine]


def common_of(engine: EngineKind) -> dict[str, Option]:
    """What becomes a lane's own fields. A server has its device and its model by itself."""
    return {} if engine is EngineKind.ENDPOINT else COMMON


def parse_lane(text: str, *, generation: bool = False) -> EngineSpec:
    """`fast=ort,intra_op_threads=2` or just `ort`; `generation`: a lane that generates text.

    Raises PlanError that lists what is possible, ModelFileError for a bad `model=`.
    """
    head, *pairs = text.split(",")
    label, _, engine = head.rpartition("=")
    if engine not in list(EngineKind):
        raise PlanError(f"There is no engine {engine!r}.", f"Use one of: {', '.join(EngineKind)}.")
    chosen: dict[str, str] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise _unknown(EngineKind(engine), key, generation)
        chosen[key] = value
    return lane_spec(label, EngineKind(engine), chosen, generation=generation)


def lane_spec(
    label: str,
    engine: EngineKind,
    chosen: Mapping[str, str],
    cancelled: Cancelled | None = None,
    *,
    generation: bool = False,
) -> EngineSpec:
    """A lane from options in text. Raises PlanError, ModelFileError, CancelledError."""
    known = options_of(engine, generation=generation) | common_of(engine)
    for key in chosen:
        if key not in known:
            raise _unknown(engine, key, generation)
    values = {key: known[key].parsed(key, text) for key, text in chosen.items()}
    device = str(values.pop("device", "cpu"))
    model = values.pop("model", None)
    return EngineSpec(
        label=label or engine.value,
        engine=engine,
        device=device,
        options=values,
        model=identify(Path(str(model)), cancelled) if model else None,
    )


def _unknown(engine: EngineKind, key: str, generation: bool) -> PlanError:
    names = ", ".join((*common_of(engine), *options_of(engine, generation=generation)))
    return PlanError(f"{engine.value} has no option {key!r}.", f"It has: {names}. Write key=value.")


def callers(spec: EngineSpec) -> int:
    """How many threads of the lane call at once."""
    return int(spec.options.get("callers", 1))
