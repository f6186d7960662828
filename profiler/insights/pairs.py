"""Rules on what one lane does and another doesn't."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from profiler.explanation import Explanation
from profiler.insights.base import Insight, rule
from profiler.op_kinds import GLUE, kind_of
from profiler.regions import Region
from profiler.session import Session

# Shares of the slower lane's timed latency from which on a rule speaks.
FUSION_FROM, FOLDED_FROM = 0.05, 0.05
# An operator is called fused where the other lane has at least so many for its work.
FUSED_FROM = 3


@rule
def missed_fusion(session: Session) -> Iterator[Insight]:
    """One lane has a fused operator where the other runs several, and is slower there."""
    for found, slow in _both_ways(session):
        groups: dict[str, list[Region]] = defaultdict(list)
        for region in found.regions:
            if _fused(region, slow):
                groups[region.signature].append(region)
        for signature, regions in groups.items():
            lost_ns = sum(r.timed_ns[slow] - r.timed_ns[1 - slow] for r in regions)
            share = lost_ns / found.figures[slow].timed_ns
            if share >= FUSION_FROM:
                yield _fusion(session, found, slow, signature, regions, share)


def _fusion(
    session: Session,
    found: Explanation,
    slow: int,
    signature: str,
    regions: list[Region],
    share: float,
) -> Insight:
    labels = (found.baseline, found.candidate)
    count = sum(_computing(region, slow) for region in regions)
    fast = regions[0].operators[1 - slow]
    fused = next(row.op_type for row in fast if kind_of(row.op_type) not in GLUE)
    return Insight(
        rule="missed_fusion",
        label=labels[slow],
        sentence=f"{session.name(labels[slow])} runs {signature} as separate operators, which "
        f"{session.name(labels[1 - slow])} fuses, and loses {share:.0%} of its time there",
        evidence=f"{count} operators against {len(regions)} {fused}, as in {regions[0].name}",
        remedy="Use an engine or option that fuses them (torch.compile, graph optimization level "
        "all), or the framework's own fused function.",
        share=share,
    )


@rule
def work_that_could_be_folded(session: Session) -> Iterator[Insight]:
    """One lane computes in each call what the other has folded into constants."""
    for found, slow in _both_ways(session):
        alone = [r for r in found.regions if r.operators[slow] and not r.operators[1 - slow]]
        share = sum(r.timed_ns[slow] for r in alone) / found.figures[slow].timed_ns
        labels = (found.baseline, found.candidate)
        if share >= FOLDED_FROM:
            names = ", ".join(r.name for r in sorted(alone, key=lambda r: -r.timed_ns[slow])[:4])
            yield Insight(
                rule="work_that_could_be_folded",
                label=labels[slow],
                sentence=f"{session.name(labels[slow])} spends {share:.0%} of its time on work "
                f"that {session.name(labels[1 - slow])} doesn't do in a call",
                evidence=f"{len(alone)} regions: {names}",
                remedy="Compute masks, positions and other constants once, outside of the call.",
                share=share,
            )


def _both_ways(session: Session) -> Iterator[tuple[Explanation, int]]:
    """Each candidate against the baseline, looked at as the slower one in turn."""
    baseline = session.baseline()
    for label in session.labels():
        found = session.explanation(baseline, label) if label != baseline else None
        if found is None:
            continue
        for slow in (0, 1):
            # Else what its operators seem to take may be the cost of tracing.
            if found.figures[slow].believable:
                yield found, slow


def _computing(region: Region, lane: int) -> int:
    return sum(kind_of(row.op_type) not in GLUE for row in region.operators[lane])


def _fused(region: Region, slow: int) -> bool:
    one = _computing(region, 1 - slow) == 1
    slower = region.timed_ns[slow] > region.timed_ns[1 - slow]
    return one and slower and _computing(region, slow) >= FUSED_FROM
