"""Lanes as a person writes them: NAME=ENGINE[,key=value...], and what each engine takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from profiler.errors import PlanError
from profiler.model_file import Cancelled, identify
from profiler.types import EngineKind, EngineSpec, ModelKind

Value = str | int | float | bool
INTEGER, COUNT, FLAG, TEXT = "an integer", "an integer from 1", "true or false", "text"
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
            raise PlanError(f"{key} can't be {text!r}.", f"It looks like: {self.example}.")
        return text


PRECISION_HELP = "numbers that the model computes with; default: as the file has it"
TORCH_PRECISION = Option(PRECISION_HELP, choices=("fp32", "bf16", "fp16"))
THREADS = {
    "intra_op_threads": Option("threads within an operator; 0: as many as cores", INTEGER),
    "inter_op_threads": Option("threads across operators", INTEGER),
    "callers": Option("threads that call at once, as a server's do; default: 1", COUNT),
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
        **THREADS,
        "precision": Option(PRECISION_HELP, choices=(*TORCH_PRECISION.choices, "int8")),
    },
    EngineKind.TORCH_SCRIPT: {
        **THREADS,
        "precision": TORCH_PRECISION,
        "freeze": Option("torch.jit.freeze: weights become constants", FLAG),
    },
    EngineKind.TORCH_COMPILE: {
        **THREADS,
        "precision": TORCH_PRECISION,
        "mode": Option(
            "torch.compile's mode",
            choices=("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"),
        ),
        "dynamic": Option("compile for any size of dynamic dimensions", FLAG),
    },
    EngineKind.TORCH_EXPORT: {**THREADS, "precision": TORCH_PRECISION},
}
# Of every engine; they become fields of the lane.
DEVICE = Option("where it runs", example="cpu or cuda:0", pattern=r"cpu|cuda(:\d+)?")
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
}


def takes(engine: EngineKind, kind: ModelKind) -> bool:
    """Whether the engine can run a file of that kind, itself or in a converted form."""
    return kind not in REFUSED.get(engine, frozenset())


def parse_lane(text: str) -> EngineSpec:
    """`fast=ort,intra_op_threads=2` or just `ort`.

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
            raise _unknown(EngineKind(engine), key)
        chosen[key] = value
    return lane_spec(label, EngineKind(engine), chosen)


def lane_spec(
    label: str,
    engine: EngineKind,
    chosen: Mapping[str, str],
    cancelled: Cancelled | None = None,
) -> EngineSpec:
    """A lane from options in text. Raises PlanError, ModelFileError, CancelledError."""
    known = OPTIONS[engine] | COMMON
    for key in chosen:
        if key not in known:
            raise _unknown(engine, key)
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


def _unknown(engine: EngineKind, key: str) -> PlanError:
    names = ", ".join((*COMMON, *OPTIONS[engine]))
    return PlanError(f"{engine.value} has no option {key!r}.", f"It has: {names}. Write key=value.")
