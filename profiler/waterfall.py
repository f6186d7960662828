"""Where the difference of two lanes' latencies comes from, region by region: pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from profiler.regions import Region
from profiler.trace_figures import TraceFigures

OVERHEAD = "engine overhead / not attributed"
# A sentence names so many causes, each with at least this share of the gap.
NAMED_CAUSES = 2
LEAST_SHARE = 0.1


class Bar(Struct, frozen=True, kw_only=True):
    """One step from the baseline's latency to the candidate's; `share` is of the whole gap.

    Shares are positive where a bar goes the way the whole gap goes. `regions` are indexes.
    """

    name: str
    difference_ns: float
    share: float
    regions: tuple[int, ...] = ()


def bars(regions: Sequence[Region], figures: tuple[TraceFigures, TraceFigures]) -> list[Bar]:
    """A bar a region, largest first, and the remainder last; they add up to the difference of the
    timed p50 latencies.
    """
    gap_ns = figures[1].timed_ns - figures[0].timed_ns
    found = [
        Bar(
            name=region.name,
            difference_ns=region.difference_ns,
            share=_share(region.difference_ns, gap_ns),
            regions=(index,),
        )
        for index, region in enumerate(regions)
    ]
    return [*sorted(found, key=lambda bar: -abs(bar.difference_ns)), _remainder(figures, gap_ns)]


def grouped_bars(
    regions: Sequence[Region], figures: tuple[TraceFigures, TraceFigures]
) -> list[Bar]:
    """The same, with regions of the same kind of work in one bar."""
    gap_ns = figures[1].timed_ns - figures[0].timed_ns
    groups: dict[str, list[int]] = {}
    for index, region in enumerate(regions):
        groups.setdefault(region.signature, []).append(index)
    found = []
    for signature, indexes in groups.items():
        difference_ns = sum(regions[index].difference_ns for index in indexes)
        one = len(indexes) == 1
        found.append(
            Bar(
                name=regions[indexes[0]].name if one else f"{len(indexes)} {signature} regions",
                difference_ns=difference_ns,
                share=_share(difference_ns, gap_ns),
                regions=tuple(indexes),
            )
        )
    return [*sorted(found, key=lambda bar: -abs(bar.difference_ns)), _remainder(figures, gap_ns)]


def gap_sentence(causes: Sequence[Bar]) -> str:
    """ "58 % of the gap: 53 Conv + BN + ReLU regions; 20 %: lm_head"; empty without a large one."""
    largest = sorted(causes, key=lambda bar: -bar.share)
    named = [bar for bar in largest if bar.share >= LEAST_SHARE][:NAMED_CAUSES]
    texts = [
        f"{bar.share * 100:.0f} % of the gap: {bar.name}"
        if bar is named[0]
        else f"{bar.share * 100:.0f} %: {bar.name}"
        for bar in named
    ]
    return "; ".join(texts)


def _remainder(figures: tuple[TraceFigures, TraceFigures], gap_ns: float) -> Bar:
    difference_ns = figures[1].overhead_ns - figures[0].overhead_ns
    return Bar(name=OVERHEAD, difference_ns=difference_ns, share=_share(difference_ns, gap_ns))


def _share(difference_ns: float, gap_ns: float) -> float:
    return difference_ns / gap_ns if gap_ns else 0.0
