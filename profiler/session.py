"""A session: what a run has told so far. `Session.apply(event)` is the only way that it grows."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from profiler.alignment import LaneOperators
from profiler.compare import compare_rounds, lane_name
from profiler.explanation import Explainer, Explanation, LaneTrace
from profiler.lane_traces import LaneTraces
from profiler.lanes import callers
from profiler.noise import (
    SLOW,
    Conditions,
    conditions,
    disturbance,
    mostly_disturbed,
    slow_rounds,
)
from profiler.operators import with_modules
from profiler.roofline import Roofline, highest, roofline
from profiler.search.record import SearchRecord
from profiler.stats import latency_stats, round_medians
from profiler.trace_figures import TraceFigures
from profiler.types import (
    Ceiling,
    Comparison,
    EngineFailed,
    EngineReady,
    EngineSpec,
    Event,
    Examined,
    ForeignProcesses,
    Generated,
    GraphDescribed,
    LaneExamined,
    LatencyStats,
    LaunchedAgain,
    LogLine,
    ModelConverted,
    ModelGraph,
    NewSizeTried,
    OperatorRow,
    OpTimings,
    OutputsCompared,
    Progress,
    Question,
    Round,
    RoundKind,
    RunFinished,
    RunPlan,
    RunStarted,
    TelemetrySample,
    ValuesCompared,
)
from profiler.verdict import verdict


@dataclass
class Session:
    """Everything known about one run, by lane label where it belongs to a lane."""

    plan: RunPlan | None = None
    # What a recommendation is to answer: the plan's, until the person asks something else.
    question: Question = field(default_factory=Question)
    environment: dict[str, str] = field(default_factory=dict)
    version: str = ""
    started_ns: int = 0
    progress: Progress | None = field(default=None, compare=False)
    converted: list[ModelConverted] = field(default_factory=list)
    ready: dict[str, EngineReady] = field(default_factory=dict)
    rounds: dict[str, list[Round]] = field(default_factory=lambda: defaultdict(list))
    generated: dict[str, list[Generated]] = field(default_factory=lambda: defaultdict(list))
    traces: dict[str, list[OpTimings]] = field(default_factory=lambda: defaultdict(list))
    graphs: dict[str, GraphDescribed] = field(default_factory=dict)
    examined: dict[str, Examined] = field(default_factory=dict)
    new_sizes: dict[str, NewSizeTried] = field(default_factory=dict)
    outputs: list[OutputsCompared] = field(default_factory=list)
    # The last look inside of the model, by baseline and candidate.
    values: dict[tuple[str, str], ValuesCompared] = field(default_factory=dict)
    telemetry: list[TelemetrySample] = field(default_factory=list)
    foreign: list[ForeignProcesses] = field(default_factory=list)
    logs: list[LogLine] = field(default_factory=list)
    failures: dict[str, EngineFailed] = field(default_factory=dict)
    finished: RunFinished | None = None
    # Of a search for the fastest configuration, whose confirmation is the run itself.
    search: SearchRecord = field(default_factory=SearchRecord)
    # Timed rounds that something took time from, by index, and what.
    disturbed: dict[int, str] = field(default_factory=dict, compare=False, repr=False)
    # Of the timed rounds, by label and round index: kept, since each look at a run needs them all.
    medians: dict[str, dict[int, float]] = field(
        default_factory=lambda: defaultdict(dict), compare=False, repr=False
    )
    # Which launch each timed round belongs to, and the processes of each lane over all launches.
    launches: dict[int, int] = field(default_factory=dict, compare=False, repr=False)
    pids: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    _slow: tuple[int, frozenset[int]] = field(default=(0, frozenset()), compare=False, repr=False)
    _statistics: dict[str, tuple[object, LatencyStats | None]] = field(
        default_factory=dict, compare=False, repr=False
    )
    _lane_traces: dict[str, LaneTraces] = field(
        default_factory=lambda: defaultdict(LaneTraces), compare=False, repr=False
    )
    _traced_medians: dict[str, dict[int, float]] = field(
        default_factory=lambda: defaultdict(dict), compare=False, repr=False
    )
    _figures: dict[str, tuple[object, TraceFigures | None]] = field(
        default_factory=dict, compare=False, repr=False
    )
    _explainer: Explainer = field(default_factory=Explainer, compare=False, repr=False)
    _explanations: dict[tuple[str, str], tuple[object, Explanation | None]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def apply(self, event: Event) -> None:
        """Take one event in."""
        match event:
            case RunStarted():
                self.plan = event.plan
                self.question = event.plan.question
                self.environment = event.environment
                self.version = event.dualscope_version
                self.started_ns = self.search.started_ns or event.time_ns
            case Progress():
                self.progress = event
            case ModelConverted():
                self.converted.append(event)
            case EngineReady():
                self.ready[event.label] = event
                self.pids[event.label].add(event.pid)
            case LaunchedAgain():
                for label, pid in event.pids.items():
                    self.pids[label].add(pid)
            case Round():
                self._take_round(event)
            case Generated():
                self.generated[event.label].append(event)
            case OpTimings():
                self._take_trace(event)
            case GraphDescribed():
                self.graphs[event.label] = event
            case LaneExamined():
                self.examined[event.label] = event.found
            case NewSizeTried():
                self.new_sizes[event.label] = event
            case OutputsCompared():
                self.outputs.append(event)
            case ValuesCompared():
                self.values[(event.baseline, event.candidate)] = event
            case TelemetrySample():
                self.telemetry.append(event)
            case ForeignProcesses():
                self.foreign.append(event)
            case LogLine():
                self.logs.append(event)
            case EngineFailed():
                self.failures[event.label] = event
            case RunFinished():
                self.finished = event
            case _:
                self.search.apply(event)
                self.started_ns = self.search.started_ns or self.started_ns

    def _take_round(self, turn: Round) -> None:
        self.rounds[turn.label].append(turn)
        if turn.kind is not RoundKind.TIMED:
            return
        self.medians[turn.label] |= round_medians([turn])
        self.launches[turn.index] = turn.launch
        reason = self._disturbance(turn)
        if reason:
            self.disturbed.setdefault(turn.index, reason)

    def _take_trace(self, trace: OpTimings) -> None:
        self.traces[trace.label].append(trace)
        self._lane_traces[trace.label].add(trace, self._disturbance(trace))
        if self.plan is None or not trace.traced_latencies_ns:
            return
        median = float(statistics.median(trace.traced_latencies_ns))
        # A clock may be too coarse for a tiny model's calls.
        self._traced_medians[trace.label][trace.round] = max(median, 1.0)
        slow = slow_rounds(self._traced_medians, self.plan.noise)
        for found in self._lane_traces.values():
            found.set_slow(slow)

    def _disturbance(self, turn: Round | OpTimings) -> str:
        """By the plan's rule, in words; "" for none."""
        if self.plan is None:
            return ""
        return disturbance(turn, self.conditions(turn), self.plan.noise)

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

    def timed_rounds(self) -> int:
        """How many rounds were timed so far, in any lane."""
        return len(self.launches)

    def mostly_disturbed(self) -> bool:
        """Whether the machine was busy with other things for more than half of the run."""
        return mostly_disturbed(len(self.disturbed), self.timed_rounds())

    def set_aside(self) -> frozenset[int]:
        """Rounds that take no part in any figure. None where most were disturbed."""
        return frozenset() if self.mostly_disturbed() else frozenset(self.disturbances())

    def disturbances(self) -> dict[int, str]:
        """Timed rounds that were disturbed, by index, and why."""
        return dict.fromkeys(self._slow_rounds(), SLOW) | self.disturbed

    def _slow_rounds(self) -> frozenset[int]:
        """In which the machine itself was slower. Kept until there are more rounds."""
        turns = sum(len(values) for values in self.medians.values())
        if self.plan is not None and turns != self._slow[0]:
            self._slow = (turns, slow_rounds(self.medians, self.plan.noise, self.launches))
        return self._slow[1]

    def conditions(self, turn: Round | OpTimings) -> Conditions:
        """Clocks and throttling during a turn."""
        return conditions(turn, self.spec(turn.label), self.telemetry)

    def latency_stats(self, label: str) -> LatencyStats | None:
        """Statistics of the lane's timed rounds; None when it has none. Kept until they change."""
        rounds, set_aside = self.rounds.get(label, ()), self.set_aside()
        state = (len(rounds), set_aside)
        kept = self._statistics.get(label)
        if kept is None or kept[0] != state:
            kept = (state, latency_stats(label, rounds, set_aside=set_aside))
            self._statistics[label] = kept
        return kept[1]

    def peak_memory_bytes(self, label: str) -> int | None:
        """Highest resident memory of the lane's process above that of its engine with no model."""
        ready, turns = self.ready.get(label), self.rounds.get(label)
        if ready is None or not turns:
            return None
        return max(0, max(turn.peak_rss_bytes for turn in turns) - ready.baseline_rss_bytes)

    def device_memory_bytes(self, label: str) -> int | None:
        """Highest GPU memory of the lane's process; None where NVML doesn't tell."""
        pids = self.pids.get(label, set())
        used = [
            gpu.process_memory_bytes[pid]
            for sample in self.telemetry
            for gpu in sample.gpus
            for pid in pids & gpu.process_memory_bytes.keys()
        ]
        return max(used, default=None)

    def operators(self, label: str) -> list[OperatorRow]:
        """The lane's operators over its traced iterations, longest first, with their modules."""
        described = self.graphs.get(label)
        rows = self._operators(label)
        return with_modules(rows, described.graph) if described else rows

    def _operators(self, label: str) -> list[OperatorRow]:
        found = self._lane_traces.get(label)
        return found.operators(label) if found else []

    def used_traces(self, label: str) -> Sequence[OpTimings]:
        """Traced rounds that operator times come from: those of a quiet and quick machine, or else
        all.
        """
        found = self._lane_traces.get(label)
        return found.used if found else ()

    def unused_traces(self, label: str) -> dict[int, str]:
        """The other traced rounds, by index, and why each has no part."""
        found = self._lane_traces.get(label)
        return found.set_aside() if found else {}

    def roofline(self, row: OperatorRow) -> Roofline:
        """The operator against the measured ceilings of its lane.

        On a GPU an operator's time is that of its launches, which says nothing of its rates.
        """
        if self.spec(row.label).device != "cpu":
            return roofline(msgspec.structs.replace(row, traced_ns=0.0), None)
        figures = self.trace_figures(row.label)
        slowed = figures is not None and not figures.believable
        return roofline(row, self.ceiling(row.label), slowed=slowed)

    def ceiling(self, label: str) -> Ceiling | None:
        """The best that lanes on the CPU with as many threads reached; None before a trace.

        Any of them may have met a busy machine, and none is faster than the machine.
        """
        own = self.examined.get(label)
        if own is None or own.threads is None or self.spec(label).device != "cpu":
            return None
        return highest(
            [
                other.ceiling
                for other in self.examined.values()
                if other.ceiling and other.threads and other.threads.threads == own.threads.threads
            ]
        )

    def inner_operators(self, label: str) -> list[OperatorRow]:
        """Of nested graphs (bodies of If, Loop, Scan); their time is in that of `operators`."""
        found = self._lane_traces.get(label)
        return found.inner_operators(label) if found else []

    def baseline(self) -> str:
        """The plan's baseline lane; where it has nothing, the first lane that was measured.

        Where it failed in the middle and two others went on, the first of those.
        """
        if self.plan is None:
            return ""
        chosen = self.plan.baseline
        measured = [label for label in self.labels() if self.medians.get(label)]
        alive = [label for label in measured if label not in self.failures]
        if chosen in self.failures and len(alive) > 1:
            return alive[0]
        return chosen if chosen in measured or not measured else measured[0]

    def trace_figures(self, label: str) -> TraceFigures | None:
        """How well the lane's trace stands for its timed latency; None without a trace.

        Kept until the lane's rounds or traces change.
        """
        found = self._lane_traces.get(label)
        if found is None:
            return None
        timed = len(self.rounds.get(label, ()))
        state = (found.rounds, found.used_rounds, timed, self.set_aside())
        kept = self._figures.get(label)
        if kept is None or kept[0] != state:
            alike = self.plan is None or callers(self.spec(label)) == 1
            figures = found.figures(label, self.latency_stats(label), alike=alike)
            kept = self._figures[label] = (state, figures)
        return kept[1]

    def trace_doubts(self, labels: Sequence[str] | None = None) -> list[str]:
        """Why operator times may be wrong, a sentence for each lane where that is so.

        `labels`: the lanes that are asked about; all without it.
        """
        asked = self.labels() if labels is None else labels
        found = [(label, self.trace_figures(label)) for label in asked]
        return [
            f"{self.name(label)}: {figures.doubt}"
            for label, figures in found
            if figures and figures.doubt
        ]

    def explanation(self, baseline: str, candidate: str) -> Explanation | None:
        """Why one is faster than the other, region by region; None until both were traced.

        While a run goes on it is as of the last trace, at its end as of all rounds.
        """
        traces = tuple(
            (len(self.traces.get(label, ())), [trace.round for trace in self.used_traces(label)])
            for label in (baseline, candidate)
        )
        state = (traces, self.finished)
        known = self._explanations.get((baseline, candidate))
        if known is not None and known[0] == state:
            return known[1]
        lanes = (self._lane_trace(baseline), self._lane_trace(candidate))
        found = None
        if lanes[0] is not None and lanes[1] is not None:
            found = self._explainer.explain(lanes[0], lanes[1])
        self._explanations[(baseline, candidate)] = (state, found)
        return found

    def lane_operators(self, label: str) -> LaneOperators:
        """What the lane ran, in the order of execution, and its graph where it is known."""
        described = self.graphs.get(label)
        rows = sorted(self._operators(label), key=lambda row: (row.start_ns, row.name))
        return LaneOperators(rows, described.graph if described else ModelGraph(nodes=()))

    def _lane_trace(self, label: str) -> LaneTrace | None:
        figures = self.trace_figures(label)
        if figures is None:
            return None
        return LaneTrace(label=label, operators=self.lane_operators(label), figures=figures)

    def comparisons(self) -> list[Comparison]:
        """Each lane against the baseline lane, where both were measured."""
        if self.plan is None:
            return []
        label = self.baseline()
        baseline = (label, self.medians[label])
        set_aside = self.set_aside()
        found = [
            compare_rounds(
                baseline,
                (label, self.medians[label]),
                set_aside=set_aside,
                launches=self.launches,
                comparisons=max(1, len(self.plan.engines) - 1),
            )
            for label in self.labels()
            if label != baseline[0]
        ]
        return [comparison for comparison in found if comparison]

    def verdict(self) -> str:
        """The answer in a sentence or two; what failed or differs comes first."""
        return verdict(self)
