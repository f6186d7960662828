"""Who is out of a race: pure functions over the rounds so far.

Successive elimination (Even-Dar, Mannor and Mansour 2006, "Action elimination and stopping
conditions", algorithm 3; before it Maron and Moore 1994, "Hoeffding races"): all arms run in each
round, and an arm leaves once its interval lies above the leader's. As in F-race (Birattari et al.
2002) rounds are blocks: what is compared is the ratio within a round, which the machine's drift
does not move. The interval is that of every comparison in Dualscope (`stats.launches_estimate`),
so that processes which differ by chance don't put an arm out, and no bound on latencies is needed,
as Hoeffding's inequality would.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence, Set

import msgspec
import numpy as np
from msgspec import Struct

from profiler.compare import SAME_WITHIN
from profiler.noise import Conditions, disturbance
from profiler.stats import launches_estimate, paired_ratios, usable_launches
from profiler.types import NoiseRule, RaceRound, Round

# An arm is over the p99 limit when so many calls above it came with less than this chance.
P99_ERROR = 0.01
# What launches are taken to differ by, be it one: less than elsewhere, since an arm that is dropped
# wrongly costs a chance, and the confirmation launches anew.
RACE_SPREAD = 0.01
# Rounds are short: seven may be over in a second, and what disturbs the machine for a second must
# not put out an arm (one with fewer threads stands it better). A machine that is busy stays so.
BUSY_ROUNDS = 20


class Standing(Struct, frozen=True, kw_only=True):
    """An arm's latency over the leader's, with its interval; of the leader 1, 1, 1."""

    label: str
    ratio: float
    low: float
    high: float
    rounds: int
    launches: int

    @property
    def slower(self) -> bool:
        """Surely: the whole interval lies above the leader."""
        return self.low > 1.0

    @property
    def alike(self) -> bool:
        """Surely within 2 % of the leader."""
        return self.low >= 1 - SAME_WITHIN and self.high <= 1 + SAME_WITHIN


def used(rounds: Sequence[RaceRound], *, at_end: bool = False) -> list[RaceRound]:
    """Rounds that count: not disturbed, or all where most of `BUSY_ROUNDS` or more were.

    `at_end`: no calmer ones will come, so that all count where most were, however few.
    """
    calm = [item for item in rounds if not item.disturbed]
    settled = at_end or len(rounds) >= BUSY_ROUNDS
    return list(rounds) if settled and 2 * len(calm) < len(rounds) else calm


def disturbed(turns: Sequence[Round], rule: NoiseRule) -> str:
    """Why the round of these turns is disturbed, or "": by the mean over its turns.

    The kernel counts CPU time in ticks of 10 ms: of one turn of 30 to 50 ms a share is too coarse.
    """
    if not turns:
        return ""
    whole = msgspec.structs.replace(
        turns[0],
        foreign_cpu_share=float(np.mean([turn.foreign_cpu_share for turn in turns])),
        steal_share=float(np.mean([turn.steal_share for turn in turns])),
    )
    return disturbance(whole, Conditions(), rule)


def standings(
    rounds: Sequence[RaceRound],
    arms: Sequence[str],
    *,
    comparisons: int,
    leader: str = "",
    at_end: bool = False,
) -> tuple[Standing, ...]:
    """Arms that are still in, the leader first, then by latency; empty before a common round.

    `leader`: what the others are set against; without it the arm with the lowest latency. `at_end`
    as in `used`.

    `comparisons`: how many arms began the race beside the leader. Their intervals hold together
    (Bonferroni), as `launches_estimate` widens them, which allows for repeated looks too.
    """
    common = [item for item in used(rounds, at_end=at_end) if set(arms) <= item.medians_ns.keys()]
    if not common or not arms:
        return ()
    launches = {item.index: item.launch for item in common}
    medians = {arm: {item.index: item.medians_ns[arm] for item in common} for arm in arms}
    leader = leader or min(arms, key=lambda arm: (_centre(medians[arm], launches), arms.index(arm)))
    others = [
        _standing(arm, medians[arm], medians[leader], launches, comparisons)
        for arm in arms
        if arm != leader
    ]
    first = Standing(
        label=leader,
        ratio=1.0,
        low=1.0,
        high=1.0,
        rounds=len(common),
        launches=len(set(launches.values())),
    )
    return (first, *sorted(others, key=lambda standing: standing.ratio))


def _centre(medians: Mapping[int, float], launches: Mapping[int, int]) -> float:
    """Log of the geometric mean over launches of each one's median."""
    by_launch: dict[int, list[float]] = {}
    for index, median in medians.items():
        by_launch.setdefault(launches[index], []).append(math.log(median))
    return float(np.mean([np.median(values) for values in by_launch.values()]))


def _standing(
    label: str,
    arm: Mapping[int, float],
    leader: Mapping[int, float],
    launches: Mapping[int, int],
    comparisons: int,
) -> Standing:
    ratios = paired_ratios(arm, leader, launches=launches)
    ratio, low, high = launches_estimate(
        ratios,
        comparisons=max(1, comparisons),
        spread=RACE_SPREAD,
        lone_spread=RACE_SPREAD,
    )
    counted = usable_launches(ratios) or ratios
    return Standing(
        label=label,
        ratio=ratio,
        low=low,
        high=high,
        rounds=sum(values.size for values in counted),
        launches=len(counted),
    )


def out(found: Sequence[Standing]) -> list[Standing]:
    """Those whose interval lies above the leader's."""
    return [standing for standing in found[1:] if standing.slower]


def decided(found: Sequence[Standing]) -> str:
    """Why the race is over, or "": one arm is left, or all that are left are alike."""
    if len(found) == 1:
        return "one left"
    return "alike" if found and all(standing.alike for standing in found[1:]) else ""


def chosen(found: Sequence[Standing], changes: Mapping[str, int], barred: Set[str]) -> str:
    """The winner: of the arms that may be chosen and are estimated within 2 % of the best of them,
    the one with the fewest changes from the default. "" when none may be chosen.
    """
    allowed = [standing for standing in found if standing.label not in barred]
    if not allowed:
        return ""
    limit = allowed[0].ratio * (1 + SAME_WITHIN)
    close = [standing for standing in allowed if standing.ratio <= limit]
    return min(close, key=lambda standing: (changes[standing.label], standing.ratio)).label


@functools.lru_cache(maxsize=4096)
def surely_over(above: int, calls: int, share: float = 0.01) -> bool:
    """Whether so many of the calls above a limit say that more than `share` of all calls are.

    One-sided exact binomial test (Clopper and Pearson 1934) at `P99_ERROR`.
    """
    if not above:
        return False
    below = sum(
        math.exp(
            math.lgamma(calls + 1)
            - math.lgamma(k + 1)
            - math.lgamma(calls - k + 1)
            + k * math.log(share)
            + (calls - k) * math.log1p(-share)
        )
        for k in range(above)
    )
    return 1 - below < P99_ERROR
