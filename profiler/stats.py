"""Statistics of latencies: pure functions, with the source of each method."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from profiler.types import LatencyStats, Round, RoundKind

# Confidence of one look at the interval; over a whole run, with its stopping rule, 95 %.
LEVEL = 0.98
# A launch of fewer rounds has no part in a figure yet.
LEAST_ROUNDS = 7
# How far launches of a pair of lanes are apart before anything is known of them, and for how many
# launches of its own that counts.
LAUNCH_SPREAD = 0.015
LAUNCH_DF = 3
# The same while there is one launch: now and then a process is slower as a whole, here by up to
# 28 %, which one launch alone can't show.
LONE_LAUNCH_SPREAD = 0.05
# Launches further from the centre than so many scales count as if they lay there.
OUTLYING = 2.0
# Of the launches at least so many have to be usual ones, for others to be outlying.
USUAL = 0.75


def latency_stats(
    label: str, rounds: Sequence[Round], *, set_aside: Set[int] = frozenset()
) -> LatencyStats | None:
    """Statistics over every iteration of the timed rounds not set aside; None when there is none.

    Percentiles by linear interpolation (Hyndman and Fan, 1996, type 7: NumPy's default).
    """
    timed = [r for r in rounds if r.kind is RoundKind.TIMED and r.index not in set_aside]
    if not timed:
        return None
    values = np.concatenate([np.asarray(r.latencies_ns, dtype=np.float64) for r in timed])
    p50, p90, p99 = (float(p) for p in np.percentile(values, (50, 90, 99)))
    mean = float(values.mean())
    return LatencyStats(
        label=label,
        p50_ns=p50,
        p90_ns=p90,
        p99_ns=p99,
        min_ns=float(values.min()),
        mean_ns=mean,
        stdev_ns=float(values.std(ddof=1)) if values.size > 1 else 0.0,
        iterations=int(values.size),
        rounds=len(timed),
        throughput_per_s=_throughput(timed, mean),
    )


def _throughput(timed: Sequence[Round], mean_ns: float) -> float:
    """Iterations a second; calls that overlap count by what their blocks took."""
    duration_ns = sum(r.duration_ns for r in timed)
    if duration_ns:
        return 1e9 * sum(len(r.latencies_ns) for r in timed) / duration_ns
    return 1e9 / mean_ns if mean_ns > 0 else 0.0


def round_medians(rounds: Iterable[Round]) -> dict[int, float]:
    """Median latency in ns of each timed round, by round index."""
    return {r.index: float(np.median(r.latencies_ns)) for r in rounds if r.kind is RoundKind.TIMED}


def round_means(rounds: Iterable[Round]) -> dict[int, float]:
    """Time per call in ns of each timed round, by round index: mean latency where calls come one
    after the other, else the block's duration over its calls.
    """
    return {
        r.index: r.duration_ns / len(r.latencies_ns)
        if r.duration_ns
        else float(np.mean(r.latencies_ns))
        for r in rounds
        if r.kind is RoundKind.TIMED
    }


def paired_by_launch(
    baseline: Mapping[int, float],
    candidate: Mapping[int, float],
    *,
    set_aside: Set[int] = frozenset(),
    launches: Mapping[int, int] | None = None,
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Both lanes' values of each round that both ran and that isn't set aside, for each launch."""
    found: dict[int, list[tuple[float, float]]] = {}
    for index, value in baseline.items():
        if index in candidate and index not in set_aside:
            launch = launches.get(index, 0) if launches else 0
            found.setdefault(launch, []).append((value, candidate[index]))
    pairs = [np.array(values, dtype=np.float64) for _, values in sorted(found.items())]
    return [(values[:, 0], values[:, 1]) for values in pairs]


def paired_ratios(
    baseline: Mapping[int, float],
    candidate: Mapping[int, float],
    *,
    set_aside: Set[int] = frozenset(),
    launches: Mapping[int, int] | None = None,
) -> list[NDArray[np.float64]]:
    """Baseline / candidate of the medians of each round that both ran and that isn't set aside.

    An array a launch; `launches` tells each round's, by index (default: all are of one).
    """
    pairs = paired_by_launch(baseline, candidate, set_aside=set_aside, launches=launches)
    return [one / other for one, other in pairs]


def median_interval(values: NDArray[np.float64], *, comparisons: int = 1) -> tuple[float, float]:
    """Distribution-free interval of the median that covers it in 95 % of runs, or (0, inf).

    Between two order statistics of the sample, as the inverse of the sign test (Thompson 1936;
    Conover, Practical Nonparametric Statistics, 3.2): exact for any distribution, also with the
    outliers that a busy machine makes, where a percentile bootstrap of few values is too narrow.

    - Rounds that follow each other are correlated: the distance of the two ranks from the middle
      grows with the square root of the variance inflation of the signs, estimated from their
      autocovariance with Bartlett weights (Newey and West 1987), never below 1.
    - The run stops when this interval is narrow, so it is looked at again and again: the level is
      `LEVEL` for each look. docs/measurement.md has the coverage that was measured with that.
    - `comparisons` intervals that should hold together share the error (Bonferroni).

    Too few values for the level (7 for one comparison) have no interval.
    """
    count = values.size
    rank = _lower_rank(count, (1 - LEVEL) / comparisons)
    if rank < 1:
        return (0.0, float("inf"))
    spread = (count / 2 - rank) * math.sqrt(_sign_inflation(values))
    rank = math.floor(count / 2 - spread)
    if rank < 1:
        return (0.0, float("inf"))
    ordered = np.sort(values)
    return (float(ordered[rank - 1]), float(ordered[count - rank]))


def usable_launches(ratios: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Those with enough rounds to tell how sure their median is: a launch's first rounds wait."""
    return [values for values in ratios if values.size >= LEAST_ROUNDS]


def median_error(values: NDArray[np.float64]) -> float:
    """Standard error of the log of the median, by order statistics.

    Half of the distance between the ranks one standard deviation (of a sign count, sqrt(n) / 2)
    away from the middle (McKean and Schrader 1984, with their quantile at 1, so that the spikes
    of a busy machine have no say), widened for rounds that are correlated, as `median_interval` is.
    """
    count = values.size
    spread = math.sqrt(count * _sign_inflation(values)) / 2
    low, high = max(0.0, (count - 1) / 2 - spread), min(count - 1.0, (count - 1) / 2 + spread)
    ordered = np.sort(np.log(values))
    at = np.interp([low, high], np.arange(count), ordered)
    return float(at[1] - at[0]) / 2


def launches_estimate(
    ratios: Sequence[NDArray[np.float64]],
    *,
    comparisons: int = 1,
    spread: float = LAUNCH_SPREAD,
    lone_spread: float = LONE_LAUNCH_SPREAD,
) -> tuple[float, float, float]:
    """(ratio, low, high) over several launches of the lanes; `ratios` has an array a launch.

    One process differs from the next of the same lane: where its memory lies decides about caches.
    Measured here, launches of one lane differ by 0.2 to 4 % (docs/measurement.md). More rounds of
    one launch don't average that out, so that the unit is the launch: its value is the median of
    its rounds' paired ratios. The ratio is what these have in common: Huber's M-estimate (1964) of
    their logs, the mean unless one lies far out. Now and then a process is slower as a whole, up to
    several times; in a mean, one such launch of eight decides about the verdict.

    The interval is Student's, with a variance moderated by what is known beforehand (Smyth 2004,
    "Linear models and empirical Bayes methods", the moderated t): (d0 s0^2 + (K - 1) s^2) /
    (d0 + K - 1) on d0 + K - 1 degrees of freedom, where s^2 is the variance of the K launches' log
    medians beyond that of their rounds, s0 is `spread` (`lone_spread` while there is one
    launch) and d0 `LAUNCH_DF`. So one launch has an interval too, an honestly wide one, and two
    launches that agree by chance don't make a narrow one.

    Two parts add up (as variances): what the launches' medians have from their rounds, with the
    normal quantile, since each has many rounds; and what launches differ by beyond that, with
    Student's quantile, since they are few.

    The run stops when this interval is narrow: `LEVEL` is the level of one look. `comparisons`
    intervals that should hold together share the error (Bonferroni). (ratio, 0, inf) while no
    launch has enough rounds for an interval of its own.
    """
    known = usable_launches(ratios)
    if not known:
        return (float(np.median(np.concatenate(ratios))), 0.0, float("inf"))
    logs = np.array([math.log(float(np.median(values))) for values in known])
    within = float(np.mean(np.square([median_error(values) for values in known])))
    centre, variance, kept = _huber(logs, within, spread)
    known_spread = spread if logs.size > 1 else lone_spread
    half = _half_width(variance, within, logs.size, kept, comparisons, known_spread)
    return (math.exp(centre), math.exp(centre - half), math.exp(centre + half))


def _huber(logs: NDArray[np.float64], within: float, spread: float) -> tuple[float, float, int]:
    """(centre, variance, how many count in full) of launches' log ratios.

    Huber 1981, Robust Statistics, 6.4 to 6.7: by reweighting from the median, with the median
    absolute deviation for a scale (for few values as in Croux and Rousseeuw 1992), and the variance
    of pseudo-values. The scale is no less than what is known beforehand, so that launches that
    agree by chance don't make others outlying. With fewer than three, or where more than a quarter
    lies far out and there is no telling what is usual, it is their mean and variance.
    """
    count = logs.size
    plain = (float(logs.mean()), float(logs.var(ddof=1)) if count > 1 else 0.0, count)
    if count < 3:
        return plain
    centre = float(np.median(logs))
    deviation = 1.4826 * count / (count - 0.8) * float(np.median(np.abs(logs - centre)))
    scale = max(deviation, math.sqrt(within + spread**2))
    for _ in range(50):
        distance = np.abs(logs - centre) / scale
        weights = np.minimum(1.0, OUTLYING / np.maximum(distance, OUTLYING))
        centre = float(weights @ logs / weights.sum())
    clipped = np.clip((logs - centre) / scale, -OUTLYING, OUTLYING)
    kept = int(np.sum(np.abs(clipped) < OUTLYING))
    if kept < USUAL * count:
        return plain
    pseudo = float(clipped @ clipped) * (scale * count / kept) ** 2
    return centre, pseudo / (count - 1), kept


def _half_width(
    variance: float, within: float, count: int, kept: int, comparisons: int, known_spread: float
) -> float:
    """Of the interval around the centre of `count` launches' log ratios; see `launches_estimate`.

    `variance` is theirs, `within` what their rounds have in it; `kept` launches tell the spread.
    """
    own = kept - 1
    freedom = LAUNCH_DF + own
    between = (LAUNCH_DF * known_spread**2 + own * max(0.0, variance - within)) / freedom
    probability = 1 - (1 - LEVEL) / (2 * comparisons)
    normal = NormalDist().inv_cdf(probability)
    student = student_quantile(probability, freedom)
    return math.sqrt((normal**2 * within + student**2 * between) / count)


def mean_ratio_interval(
    ratio: float,
    launches: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
    *,
    comparisons: int = 1,
) -> tuple[float, float]:
    """Interval of a ratio of mean times per call: of throughputs, and of costs.

    Each launch gives the means of its paired rounds, (baseline's, candidate's) in ns; `ratio` is
    baseline's over candidate's mean over all of them. The log ratio of a launch has the standard
    error of a ratio of means by linearization (Cochran 1977, Sampling Techniques, 6.4), widened for
    rounds that are correlated (Newey and West 1987); launches are put together as in
    `launches_estimate`. Unlike a median's, this interval feels every spike, since whoever pays for
    the machine pays for those too. (0, inf) while no launch has enough rounds.
    """
    known = [pair for pair in launches if pair[0].size >= LEAST_ROUNDS]
    if not known:
        return (0.0, float("inf"))
    logs = np.array([math.log(float(b.mean() / c.mean())) for b, c in known])
    within = float(np.mean(np.square([_mean_error(b, c) for b, c in known])))
    variance = float(logs.var(ddof=1)) if logs.size > 1 else 0.0
    known_spread = LAUNCH_SPREAD if logs.size > 1 else LONE_LAUNCH_SPREAD
    half = _half_width(variance, within, logs.size, logs.size, comparisons, known_spread)
    return (ratio * math.exp(-half), ratio * math.exp(half))


def _mean_error(baseline: NDArray[np.float64], candidate: NDArray[np.float64]) -> float:
    gaps = baseline / baseline.mean() - candidate / candidate.mean()
    return math.sqrt(long_run_squares(gaps)) / float(gaps.size)


def long_run_squares(values: NDArray[np.float64]) -> float:
    """Variance of the sum of values with mean 0, correlation included; no less than without it."""
    power = float(values @ values)
    lags = min(max(1, round(values.size ** (1 / 3))), values.size - 1)
    weighted = sum(
        (1 - lag / (lags + 1)) * float(values[:-lag] @ values[lag:]) for lag in range(1, lags + 1)
    )
    return float(max(power, power + 2 * weighted))


@functools.cache
def student_quantile(probability: float, freedom: int) -> float:
    """Student's t for a probability above 1/2, by bisection of its distribution."""
    low, high = 0.0, 1.0
    while _student_cdf(high, freedom) < probability:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_cdf(middle, freedom) < probability else (low, middle)
    return high


def _student_cdf(t: float, freedom: int) -> float:
    """For t >= 0, exactly (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    if freedom % 2:
        term, total = cosine, 0.0
        for step in range(3, freedom + 1, 2):
            total += term
            term *= cosine**2 * (step - 1) / step
        central = 2 / math.pi * (angle + sine * total)
    else:
        term, total = 1.0, 0.0
        for step in range(2, freedom + 1, 2):
            total += term
            term *= cosine**2 * (step - 1) / step
        central = sine * total
    return 0.5 + central / 2


@functools.cache
def _lower_rank(count: int, error: float) -> int:
    """Largest k for which [k-th smallest, k-th largest] misses the median at most that often.

    It misses when fewer than k of `count` values lie on one side: binomial with p = 1/2.
    """
    rank, missed = 0, 0.0
    while rank < count // 2:
        ways = math.lgamma(count + 1) - math.lgamma(rank + 1) - math.lgamma(count - rank + 1)
        missed += 2 * math.exp(ways - count * math.log(2))
        if missed > error:
            break
        rank += 1
    return rank


def _sign_inflation(values: NDArray[np.float64]) -> float:
    """Variance of the sum of signs about the median, over what it would be without correlation."""
    signs = np.sign(values - np.median(values))
    power = float(signs @ signs)
    if power == 0.0:
        return 1.0
    lags = max(1, round(values.size ** (1 / 3)))
    weighted = sum(
        (1 - lag / (lags + 1)) * float(signs[:-lag] @ signs[lag:]) for lag in range(1, lags + 1)
    )
    return float(max(1.0, 1 + 2 * weighted / power))


def precision_of_one(medians: Mapping[int, float], set_aside: Set[int] = frozenset()) -> float:
    """Width of the interval of a lone lane's round medians, over their median."""
    values = np.array([m for index, m in medians.items() if index not in set_aside])
    low, high = median_interval(values)
    return (high - low) / float(np.median(values)) if values.size else float("inf")
