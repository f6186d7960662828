"""What a person writes for a lane: NAME=ENGINE[,key=value...]."""

from __future__ import annotations

from profiler.errors import PlanError
from profiler.types import EngineKind, EngineSpec

INTEGER, FLAG = "an integer", "true or false"
# Options of each engine: what values they take.
OPTIONS: dict[EngineKind, dict[str, str | tuple[str, ...]]] = {
    EngineKind.ORT: {
        "execution_provider": "a name such as CPUExecutionProvider",
        "graph_optimization_level": ("disable", "basic", "extended", "all"),
        "execution_mode": ("sequential", "parallel"),
        "intra_op_threads": INTEGER,
        "inter_op_threads": INTEGER,
        "allow_spinning": FLAG,
    },
    EngineKind.TORCH_EAGER: {"intra_op_threads": INTEGER, "inter_op_threads": INTEGER},
}
FLAGS = {"true": True, "1": True, "false": False, "0": False}


def parse_lane(text: str) -> EngineSpec:
    """`fast=ort,intra_op_threads=2` or just `ort`. Raises PlanError that lists what is possible."""
    head, *pairs = text.split(",")
    label, _, engine = head.rpartition("=")
    if engine not in list(EngineKind):
        raise PlanError(f"There is no engine {engine!r}.", f"Use one of: {', '.join(EngineKind)}.")
    kind = EngineKind(engine)
    options = dict(_option(kind, pair) for pair in pairs)
    device = str(options.pop("device", "cpu"))
    return EngineSpec(label=label or engine, engine=kind, device=device, options=options)


def _option(kind: EngineKind, pair: str) -> tuple[str, str | int | float | bool]:
    key, separator, value = pair.partition("=")
    if key == "device" and value:
        return key, value
    known = OPTIONS[kind]
    if key not in known or not separator:
        raise PlanError(
            f"{kind.value} has no option {key!r}.",
            f"It has: device, {', '.join(known)}. Write key=value.",
        )
    allowed = known[key]
    if isinstance(allowed, tuple) and value not in allowed:
        raise PlanError(f"{key} can't be {value!r}.", f"It can be: {', '.join(allowed)}.")
    if allowed == FLAG:
        if value not in FLAGS:
            raise PlanError(f"{key} can't be {value!r}.", "It can be: true, false.")
        return key, FLAGS[value]
    if allowed == INTEGER:
        if not value.isdecimal():
            raise PlanError(f"{key} can't be {value!r}.", "It takes an integer.")
        return key, int(value)
    return key, value
