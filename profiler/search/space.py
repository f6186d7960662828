"""Which configurations a search may try: for each family of engines a few axes with choices."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from profiler.freed_memory import can_keep
from profiler.lanes import takes
from profiler.plan import default_engines
from profiler.types import EngineKind, EngineSpec, ModelKind, SearchPlan

Value = str | int | float | bool

ORT, TORCH = "ort", "torch"
FAMILY_NAMES = {ORT: "ONNX Runtime", TORCH: "PyTorch"}
# Execution providers that take host memory, and run with no further setting.
PLAIN_PROVIDERS = (
    "OpenVINOExecutionProvider",
    "DnnlExecutionProvider",
    "XnnpackExecutionProvider",
    "CoreMLExecutionProvider",
    "DmlExecutionProvider",
)
# How PyTorch may run a model, and what is set for that. What takes long to compile comes last.
WAYS: tuple[tuple[EngineKind, Mapping[str, Value]], ...] = (
    (EngineKind.TORCH_EAGER, {}),
    (EngineKind.TORCH_EXPORT, {}),
    (EngineKind.TORCH_SCRIPT, {}),
    (EngineKind.TORCH_SCRIPT, {"freeze": True}),
    (EngineKind.TORCH_COMPILE, {}),
    (EngineKind.TORCH_COMPILE, {"mode": "max-autotune"}),
)
# Engines whose options are searched.
SEARCHED = tuple(dict.fromkeys((EngineKind.ORT, *(engine for engine, _ in WAYS))))


def family_of(engine: EngineKind) -> str:
    """ONNX Runtime is one family; PyTorch, however it runs a model, the other."""
    return ORT if engine is EngineKind.ORT else TORCH


def leader_label(family: str) -> str:
    """Of a family's leader, as a lane of the confirmation."""
    return f"fastest {FAMILY_NAMES[family]}"


@dataclass(frozen=True)
class Choice:
    """What one choice of an axis sets; nothing where the default stays."""

    options: Mapping[str, Value] = field(default_factory=dict)
    engine: EngineKind | None = None
    device: str = ""


def _always(spec: EngineSpec) -> bool:
    del spec
    return True


@dataclass(frozen=True)
class Axis:
    """One thing that can be varied. The first choice is the default. `applies`: where it does."""

    name: str
    choices: tuple[Choice, ...]
    applies: Callable[[EngineSpec], bool] = _always


@dataclass(frozen=True)
class Configuration:
    """A point of the space: for each axis the index of its choice. The label is the lane's text."""

    spec: EngineSpec
    picks: tuple[int, ...]

    @property
    def label(self) -> str:
        return self.spec.label

    @property
    def changes(self) -> int:
        """On how many axes it departs from the default."""
        return sum(pick > 0 for pick in self.picks)


@dataclass(frozen=True)
class Space:
    """Everything that a search may try of one family, around `start`, its default."""

    family: str
    start: EngineSpec
    axes: tuple[Axis, ...]

    def default(self) -> Configuration:
        return self.configuration((0,) * len(self.axes))

    def configuration(self, picks: Sequence[int]) -> Configuration:
        """The lane of these picks. An axis that doesn't apply to it sets nothing."""
        engine, device, options = self.start.engine, self.start.device, dict(self.start.options)
        made = EngineSpec(label="", engine=engine, device=device, options=options)
        kept = []
        for axis, pick in zip(self.axes, picks, strict=True):
            choice = axis.choices[pick]
            kept.append(pick if axis.applies(made) else 0)
            if not kept[-1]:
                continue
            engine, device = choice.engine or engine, choice.device or device
            options = {**options, **choice.options}
            made = EngineSpec(label="", engine=engine, device=device, options=options)
        spec = EngineSpec(label=lane_text(made), engine=engine, device=device, options=made.options)
        return Configuration(spec=spec, picks=tuple(kept))

    def others(self, around: Configuration, axis: int) -> list[Configuration]:
        """What differs from a configuration on one axis."""
        found = []
        for pick in range(len(self.axes[axis].choices)):
            picks = (*around.picks[:axis], pick, *around.picks[axis + 1 :])
            made = self.configuration(picks)
            if made.picks == picks != around.picks:
                found.append(made)
        return found

    def grid(self) -> Iterator[Configuration]:
        """Every combination, each once."""
        seen = set()
        for picks in itertools.product(*(range(len(axis.choices)) for axis in self.axes)):
            made = self.configuration(picks)
            if made.picks not in seen:
                seen.add(made.picks)
                yield made


def lane_text(spec: EngineSpec) -> str:
    """As `--lane` takes it: `ort,intra_op_threads=1`."""
    parts = [spec.engine.value]
    parts += [f"device={spec.device}"] if spec.device != "cpu" else []
    for name, value in spec.options.items():
        parts.append(f"{name}={str(value).lower() if isinstance(value, bool) else value}")
    return ",".join(parts)


def spaces(plan: SearchPlan) -> list[Space]:
    """One a family whose engines are asked for and can take the model."""
    kind = plan.model.kind
    engines = [engine for engine in SEARCHED if engine in plan.engines and takes(engine, kind)]
    found = []
    if EngineKind.ORT in engines:
        found.append(_ort_space(plan))
    ways = [engine for engine in engines if engine is not EngineKind.ORT]
    if ways:
        found.append(_torch_space(plan, ways))
    return found


def thread_counts(cores: int) -> list[int]:
    """1, 2, 4, ... below the number of cores, which is the default."""
    counts = [1]
    while counts[-1] * 2 < cores:
        counts.append(counts[-1] * 2)
    return counts if cores > 1 else []


def _ort_space(plan: SearchPlan) -> Space:
    levels = ("extended", "basic", "disable")
    threads = [Choice({"intra_op_threads": count}) for count in thread_counts(plan.cores)]
    if plan.cores > 1:
        # Nodes side by side, each with its part of the cores.
        threads += [
            Choice(
                {
                    "execution_mode": "parallel",
                    "intra_op_threads": plan.cores // side_by_side,
                    "inter_op_threads": side_by_side,
                }
            )
            for side_by_side in sorted({2, plan.cores})
        ]
    axes = (
        Axis("device", (Choice(), *_ort_devices(plan))),
        Axis("threads", (Choice(), *threads)),
        Axis("graph", (Choice(), *(Choice({"graph_optimization_level": at}) for at in levels))),
        Axis("waiting", (Choice(), Choice({"allow_spinning": False})), _has_threads),
        Axis("binding", (Choice(), Choice({"io_binding": True})), _on_cpu),
        Axis("memory", (Choice(), Choice({"memory_arena": False}), Choice(_NO_PATTERN)), _on_cpu),
    )
    start = EngineSpec(label=ORT, engine=EngineKind.ORT)
    return Space(ORT, start, tuple(axis for axis in axes if len(axis.choices) > 1))


_NO_PATTERN: Mapping[str, Value] = {"memory_pattern": False}


def _has_threads(spec: EngineSpec) -> bool:
    parallel = spec.options.get("execution_mode") == "parallel"
    return parallel or spec.options.get("intra_op_threads", 0) != 1


def _on_cpu(spec: EngineSpec) -> bool:
    return spec.device == "cpu" and "execution_provider" not in spec.options


def _ort_devices(plan: SearchPlan) -> list[Choice]:
    """The first GPU, by CUDA and by TensorRT, and other providers of this build."""
    there = plan.execution_providers
    found = []
    if plan.cuda_devices and "CUDAExecutionProvider" in there:
        found.append(Choice(device="cuda:0"))
        if "TensorrtExecutionProvider" in there:
            provider = {"execution_provider": "TensorrtExecutionProvider"}
            found.append(Choice(provider, device="cuda:0"))
    found += [Choice({"execution_provider": name}) for name in PLAIN_PROVIDERS if name in there]
    return found


def _torch_space(plan: SearchPlan, engines: Sequence[EngineKind]) -> Space:
    start = _torch_start(plan.model.kind, engines)
    ways = [
        Choice(options, engine=engine)
        for engine, options in WAYS
        if engine in engines and (engine, options) != (start.engine, {})
    ]
    devices = [Choice(device="cuda:0")] if plan.cuda_devices else []
    threads = [Choice({"intra_op_threads": count}) for count in thread_counts(plan.cores)]
    memory = [Choice({"keep_memory": True})] if can_keep() else []
    axes = (
        Axis("device", (Choice(), *devices)),
        Axis("threads", (Choice(), *threads)),
        Axis("way", (Choice(), *ways)),
        Axis("memory", (Choice(), *memory), _on_cpu),
    )
    return Space(TORCH, start, tuple(axis for axis in axes if len(axis.choices) > 1))


def _torch_start(kind: ModelKind, engines: Sequence[EngineKind]) -> EngineSpec:
    """The default lane of PyTorch for such a file, where it is asked for; else the first engine."""
    plain = [spec.engine for spec in default_engines(kind) if spec.engine is not EngineKind.ORT]
    engine = next((e for e in plain if e in engines), engines[0])
    return EngineSpec(label=engine.value, engine=engine)
