"""What the person is setting up: a model's inputs, lanes and limits, on the way to a RunPlan."""

from __future__ import annotations

import msgspec
from PySide6.QtCore import QObject, Signal

from profiler.generation.plan import fitting_tokens, generation_lanes, generation_plan
from profiler.inputs import replace
from profiler.lanes import generates, takes
from profiler.plan import default_engines, default_plan
from profiler.types import (
    CacheLayout,
    EngineSpec,
    GenerationPlan,
    InputSpec,
    ModelInfo,
    ModelKind,
    RunPlan,
    Tolerance,
)


class PlanDraft(QObject):
    """Signal `changed()` after each change, whoever made it."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.info: ModelInfo | None = None
        self.inputs: tuple[InputSpec, ...] = ()
        self.engines: tuple[EngineSpec, ...] = default_engines()
        self.baseline = ""
        self.time_limit_s = 60.0
        self.target_width = 0.02
        self.seed = 0
        self.tolerance: Tolerance | None = None
        # Text is generated token by token, in place of single calls.
        self.generates = False
        self.prompt_tokens = GenerationPlan().prompt_tokens
        self.new_tokens = GenerationPlan().new_tokens

    def set_model(self, info: ModelInfo) -> None:
        """Another model: its own inputs; limits stay, and lanes as far as they can run it.

        A seed and a tolerance belong to the session that they came with.
        """
        unchanged = self.engines == self._defaults()
        self.info = info
        # Options of lanes that generate text are others, whatever the engine.
        unchanged |= self.generates != (info.generation is not None)
        self.generates = info.generation is not None
        most = info.generation.most_tokens if info.generation else 0
        if most and self.prompt_tokens + self.new_tokens > most:
            self.prompt_tokens, self.new_tokens = fitting_tokens(most)
        fits = generates if self.generates else takes
        if unchanged or not all(
            fits(e.engine, (e.model or info.source).kind) for e in self.engines
        ):
            self.engines, self.baseline = self._defaults(), ""
        self.inputs = info.inputs
        self.seed, self.tolerance = 0, None
        self.changed.emit()

    def set_plan(self, plan: RunPlan) -> None:
        """Take over inputs, lanes and limits of a session; the file itself is not looked at."""
        layout = None
        if plan.generation is not None:
            layout = CacheLayout(convention="", vocabulary=plan.generation.vocabulary)
            self.prompt_tokens = plan.generation.prompt_tokens
            self.new_tokens = plan.generation.new_tokens
        self.generates = layout is not None
        self.info = ModelInfo(source=plan.model, inputs=plan.inputs, outputs=(), generation=layout)
        self.inputs = plan.inputs
        self.engines = plan.engines
        self.baseline = plan.baseline
        self.time_limit_s = plan.stopping.time_limit_s
        self.target_width = plan.stopping.target_width
        self.seed, self.tolerance = plan.seed, plan.tolerance
        self.changed.emit()

    def set_generates(self, generates_text: bool) -> None:
        """Text, or single calls; lanes are those of the other kind no longer."""
        if generates_text != self.generates:
            self.generates = generates_text
            self.engines, self.baseline = self._defaults(), ""
            self.changed.emit()

    def set_input(self, spec: InputSpec) -> None:
        """Change one input; its dynamic dimensions follow in the others."""
        self.inputs = replace(self.inputs, spec)
        self.changed.emit()

    def reset_inputs(self) -> None:
        """Back to what was proposed for the model."""
        if self.info is not None:
            self.inputs = self.info.inputs
            self.changed.emit()

    def add_engine(self, spec: EngineSpec) -> None:
        """Another lane; a name that is taken gets a number."""
        self.engines = (*self.engines, self._with_free_label(spec, self.engines))
        self.changed.emit()

    def change_engine(self, label: str, spec: EngineSpec) -> None:
        """Change one lane."""
        others = tuple(e for e in self.engines if e.label != label)
        changed = self._with_free_label(spec, others)
        self.engines = tuple(changed if e.label == label else e for e in self.engines)
        if self.baseline == label:
            self.baseline = changed.label
        self.changed.emit()

    def remove_engine(self, label: str) -> None:
        """Take a lane out."""
        self.engines = tuple(e for e in self.engines if e.label != label)
        if self.baseline == label:
            self.baseline = ""
        self.changed.emit()

    def reset_engines(self) -> None:
        """Back to one lane an engine."""
        self.engines, self.baseline = self._defaults(), ""
        self.changed.emit()

    def plan(self) -> RunPlan:
        """Raises PlanError when it can't work; there must be a model."""
        assert self.info is not None
        if self.generates:
            return generation_plan(
                None if self.info.source.kind is ModelKind.ENDPOINT else self.info,
                prompt_tokens=self.prompt_tokens,
                new_tokens=self.new_tokens,
                engines=self.engines,
                baseline=self.baseline or None,
                time_limit_s=self.time_limit_s,
                target_width=self.target_width,
                seed=self.seed,
                tolerance=self.tolerance,
            )
        return default_plan(
            self.info,
            inputs=self.inputs,
            engines=self.engines,
            baseline=self.baseline or None,
            time_limit_s=self.time_limit_s,
            target_width=self.target_width,
            seed=self.seed,
            tolerance=self.tolerance,
        )

    def _defaults(self) -> tuple[EngineSpec, ...]:
        """One lane an engine."""
        if self.generates:
            return generation_lanes()
        return default_engines(self.info.source.kind if self.info else ModelKind.ONNX)

    def _with_free_label(self, spec: EngineSpec, others: tuple[EngineSpec, ...]) -> EngineSpec:
        taken = {engine.label for engine in others}
        label, number = spec.label, 2
        while label in taken:
            label = f"{spec.label} {number}"
            number += 1
        return msgspec.structs.replace(spec, label=label)
