"""A session: what a run has told so far. `Session.apply(event)` is the only way that it grows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from profiler.compare import compare_rounds, comparison_sentence, lane_name
from profiler.operators import OperatorTotals
from profiler.stats import latency_stats, round_medians
from profiler.types import (
    Comparison,
    EngineFailed,
    EngineReady,
    EngineSpec,
    Event,
    LatencyStats,
    LogLine,
    ModelConverted,
    OperatorRow,
    OpTimings,
    OutputsCompared,
    Progress,
    Round,
    RunFinished,
    RunPlan,
    RunStarted,
    TelemetrySample,
)


@dataclass
class Session:
    """Everything known about one run, by lane label where it belongs to a lane."""

    plan: RunPlan | None = None
    environment: dict[str, str] = field(default_factory=dict)
    version: str = ""
    started_ns: int = 0
    progress: Progress | None = field(default=None, compare=False)
    converted: list[ModelConverted] = field(default_factory=list)
    ready: dict[str, EngineReady] = field(default_factory=dict)
    rounds: dict[str, list[Round]] = field(default_factory=lambda: defaultdict(list))
    traces: dict[str, list[OpTimings]] = field(default_factory=lambda: defaultdict(list))
    outputs: list[OutputsCompared] = field(default_factory=list)
    telemetry: list[TelemetrySample] = field(default_factory=list)
    logs: list[LogLine] = field(default_factory=list)
    failures: dict[str, EngineFailed] = field(default_factory=dict)
    finished: RunFinished | None = None
    # Of the timed rounds, by label and round index: kept, since each look at a run needs them all.
    medians: dict[str, dict[int, float]] = field(
        default_factory=lambda: defaultdict(dict), compare=False, repr=False
    )
    _totals: dict[str, OperatorTotals] = field(
        default_factory=lambda: defaultdict(OperatorTotals), compare=False, repr=False
    )

    def apply(self, event: Event) -> None:
        """Take one event in."""
        match event:
            case RunStarted():
                self.plan = event.plan
                self.environment = event.environment
                self.version = event.dualscope_version
                self.started_ns = event.time_ns
            case Progress():
                self.progress = event
            case ModelConverted():
                self.converted.append(event)
            case EngineReady():
                self.ready[event.label] = event
            case Round():
                self.rounds[event.label].append(event)
                self.medians[event.label] |= round_medians([event])
            case OpTimings():
                self.traces[event.label].append(event)
                self._totals[event.label].add(event)
            case OutputsCompared():
                self.outputs.append(event)
            case TelemetrySample():
                self.telemetry.append(event)
            case LogLine():
                self.logs.append(event)
            case EngineFailed():
                self.failures[event.label] = event
            case RunFinished():
                self.finished = event

    def labels(self) -> list[str]:
        """Lane labels in the plan's order."""
        return [spec.label for spec in self.plan.engines] if self.plan else []

    def spec(self, label: str) -> EngineSpec:
        """The lane's configuration. Raises KeyError for a label that isn't in the plan."""
        for spec in self.plan.engines if self.plan else ():
            if spec.label == label:
                return spec
        raise KeyError(label)

    def name(self, label: str) -> str:
        """The lane as a person reads it, "ONNX Runtime (CPU)"."""
        return lane_name(self.spec(label))

    def latency_stats(self, label: str) -> LatencyStats | None:
        """Statistics of the lane's timed rounds; None when it has none."""
        return latency_stats(label, self.rounds.get(label, ()))

    def operators(self, label: str) -> list[OperatorRow]:
        """The lane's operators over all traced iterations, longest first."""
        totals = self._totals.get(label)
        return totals.rows(label) if totals else []

    def comparisons(self) -> list[Comparison]:
        """Each lane against the baseline lane, where both were measured."""
        if self.plan is None:
            return []
        baseline = (self.plan.baseline, self.medians[self.plan.baseline])
        found = [
            compare_rounds(
                baseline,
                (label, self.medians[label]),
                comparisons=max(1, len(self.plan.engines) - 1),
            )
            for label in self.labels()
            if label != baseline[0]
        ]
        return [comparison for comparison in found if comparison]

    def verdict(self) -> str:
        """The answer in a sentence or two; what failed or differs comes first."""
        if self.plan is None:
            return ""
        sentences = [
            f"{self.name(label)} failed: {failure.message.rstrip('.')}"
            for label, failure in self.failures.items()
        ]
        sentences += [
            f"{self.name(o.candidate)} gives other outputs than {self.name(o.baseline)}, "
            "past tolerance"
            for o in self.outputs
            if not o.agree
        ]
        comparisons = self.comparisons()
        sentences += [
            comparison_sentence(c, self.name(c.baseline), self.name(c.candidate))
            for c in comparisons
        ]
        if not comparisons:
            sentences += self._measured_alone()
        if not sentences and self.finished:
            sentences.append("Nothing was measured")
        return ". ".join(sentences) + "." if sentences else ""

    def _measured_alone(self) -> list[str]:
        found = [(label, self.latency_stats(label)) for label in self.labels()]
        return [
            f"{self.name(label)} takes {stats.p50_ns / 1e6:.3g} ms (p50); nothing to compare with"
            for label, stats in found
            if stats
        ]
