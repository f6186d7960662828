"""Why one lane is faster than another, from a session: regions, coverage, waterfall, a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from profiler.alignment import LaneOperators, Part, align
from profiler.kernel_parts import divided
from profiler.regions import Region, make_regions
from profiler.trace_figures import TraceFigures
from profiler.waterfall import Bar, bars, gap_sentence, grouped_bars


@dataclass(frozen=True)
class LaneTrace:
    """What is known of a lane's operators."""

    label: str
    operators: LaneOperators
    figures: TraceFigures


@dataclass(frozen=True)
class Explanation:
    """Two lanes side by side. `coverage`: share of each lane's operator time in shared regions."""

    baseline: str
    candidate: str
    regions: list[Region]
    figures: tuple[TraceFigures, TraceFigures]
    coverage: tuple[float, float]

    @property
    def gap_ns(self) -> float:
        """What the candidate's p50 is more than the baseline's; negative where it is faster."""
        return self.figures[1].timed_ns - self.figures[0].timed_ns

    def share(self, region: Region) -> float:
        """The region's part of the gap, positive where it goes the same way."""
        return region.difference_ns / self.gap_ns if self.gap_ns else 0.0

    def bars(self) -> list[Bar]:
        """The waterfall, a bar a region."""
        return bars(self.regions, self.figures)

    def grouped_bars(self) -> list[Bar]:
        """The waterfall, a bar for each kind of work."""
        return grouped_bars(self.regions, self.figures)

    def sentence(self) -> str:
        """What most of the gap is; empty where nothing stands out."""
        return gap_sentence(self.grouped_bars())


@dataclass
class Explainer:
    """Explains pairs of lanes again and again while a run goes on; what belongs together is worked
    out anew only when a trace brought other operators.
    """

    _parts: dict[tuple[str, str], tuple[object, list[Part]]] = field(default_factory=dict)

    def explain(self, baseline: LaneTrace, candidate: LaneTrace) -> Explanation:
        """Both lanes side by side."""
        lanes = (divided(baseline.operators), divided(candidate.operators))
        parts = self._aligned((baseline.label, candidate.label), lanes)
        figures = (baseline.figures, candidate.figures)
        regions = make_regions(parts, lanes, (figures[0].scale, figures[1].scale))
        return Explanation(
            baseline=baseline.label,
            candidate=candidate.label,
            regions=regions,
            figures=figures,
            coverage=(_coverage(regions, 0), _coverage(regions, 1)),
        )

    def _aligned(
        self, labels: tuple[str, str], lanes: tuple[LaneOperators, LaneOperators]
    ) -> list[Part]:
        key = [
            ([(row.name, row.op_type) for row in lane.rows], len(lane.graph.nodes))
            for lane in lanes
        ]
        known = self._parts.get(labels)
        if known is None or known[0] != key:
            known = self._parts[labels] = (key, align(*lanes))
        return known[1]


def _coverage(regions: Sequence[Region], lane: int) -> float:
    whole = sum(region.traced_ns[lane] for region in regions)
    shared = sum(region.traced_ns[lane] for region in regions if region.shared)
    return shared / whole if whole else 0.0
