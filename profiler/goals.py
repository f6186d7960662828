"""What each goal compares: a figure of each lane, and how many times better one lane is."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from profiler.compare import MIN_ROUNDS, compare_rounds, judge
from profiler.cost import hours_per_million, price_of
from profiler.intervals import interval_text
from profiler.lanes import callers
from profiler.measured import (
    batch_size,
    call_ns,
    gpu_name,
    mean_ratio,
    p99,
    peak_memory,
)
from profiler.session import Session
from profiler.types import Estimate, Goal, Verdict

MIB = 2**20
P99_FIGURE = "latency_ns.p99"


class Citation(Struct, frozen=True, kw_only=True):
    """A figure of this session that a reason rests on, as the JSON export names it."""

    figure: str
    label: str
    value: float
    unit: str = ""


class Standing(Struct, frozen=True, kw_only=True):
    """How many times better one lane is than another: `ratio` above 1 is better.

    `rounds` and `launches` took part; 0 where the figure isn't of rounds.
    """

    ratio: Estimate
    verdict: Verdict
    rounds: int = 0
    launches: int = 0


class Measure(Struct, frozen=True, kw_only=True):
    """`value` of a lane, the lower the better, None where it isn't known; `words` says it.

    `better` and `same` finish a sentence: `1.6× faster than`, `as fast as`.
    """

    figure: str
    unit: str
    value: Callable[[str], float | None]
    words: Callable[[str], str]
    against: Callable[[str, str], Standing]
    better: str
    same: str

    def cite(self, label: str) -> Citation:
        """The lane's figure."""
        return Citation(
            figure=self.figure, label=label, value=self.value(label) or 0.0, unit=self.unit
        )


def measure_for(goal: Goal, session: Session) -> Measure:
    """Of every goal but portability, which nothing here measures (KeyError)."""
    return MEASURES[goal](session)


def _latency(session: Session) -> Measure:
    def value(label: str) -> float | None:
        stats = session.latency_stats(label)
        return stats.p50_ns if stats else None

    def against(one: str, other: str) -> Standing:
        found = compare_rounds(
            (other, session.medians[other]),
            (one, session.medians[one]),
            set_aside=session.set_aside(),
            launches=session.launches,
            comparisons=max(1, len(session.labels()) - 1),
        )
        if found is None:
            return _unknown()
        return Standing(
            ratio=found.estimate,
            verdict=found.verdict,
            rounds=found.rounds,
            launches=found.launches,
        )

    return Measure(
        figure="latency_ns.p50",
        unit="ns",
        value=value,
        words=lambda label: f"p50 {(value(label) or 0) / 1e6:.4g} ms",
        against=against,
        better="faster than",
        same="as fast as",
    )


def _p99(session: Session) -> Measure:
    def value(label: str) -> float | None:
        found = p99(session, label)
        return found.value if found else None

    def words(label: str) -> str:
        found = p99(session, label)
        return f"p99 {_span(found, 1e6)} ms" if found else "no p99"

    def against(one: str, other: str) -> Standing:
        return _by_ends(p99(session, one), p99(session, other))

    return Measure(
        figure=P99_FIGURE,
        unit="ns",
        value=value,
        words=words,
        against=against,
        better="lower in p99 than",
        same="alike in p99 with",
    )


def _throughput(session: Session) -> Measure:
    batch = batch_size(session.plan.inputs if session.plan else ())

    def value(label: str) -> float | None:
        time_ns = call_ns(session, label)
        return time_ns / batch if time_ns else None

    def words(label: str) -> str:
        count = callers(session.spec(label))
        many = "one caller" if count == 1 else f"{count} callers at once"
        return f"{1e9 / (value(label) or 1.0):.4g} samples/s with {many}"

    alone = all(callers(session.spec(label)) == 1 for label in session.labels())
    return Measure(
        figure="latency_ns.mean" if alone else "time_per_sample_ns",
        unit="ns",
        value=value,
        words=words,
        against=lambda one, other: _by_means(session, one, other, 1.0),
        better="more throughput than",
        same="alike in throughput with",
    )


def _cost(session: Session) -> Measure:
    settings = session.question.cost
    batch = batch_size(session.plan.inputs if session.plan else ())

    def price(label: str) -> float | None:
        spec = session.spec(label)
        return price_of(spec, gpu_name(session, spec.device), settings)

    def value(label: str) -> float | None:
        time_ns, per_hour = call_ns(session, label), price(label)
        if time_ns is None or per_hour is None:
            return None
        return hours_per_million(time_ns, batch, settings.utilization) * per_hour

    def against(one: str, other: str) -> Standing:
        prices = price(one), price(other)
        if not prices[0] or prices[1] is None:
            return _unknown()
        return _by_means(session, one, other, prices[1] / prices[0])

    return Measure(
        figure="cost_per_million",
        unit=settings.currency,
        value=value,
        words=lambda label: (
            f"{value(label) or 0:.4g} {settings.currency}".strip() + " per million inferences"
        ),
        against=against,
        better="cheaper than",
        same="as cheap as",
    )


def _memory(session: Session) -> Measure:
    def value(label: str) -> float | None:
        found = peak_memory(session, label)
        return found.value if found else None

    def words(label: str) -> str:
        found = peak_memory(session, label)
        kind = "memory" if session.spec(label).device == "cpu" else "GPU memory"
        return f"{_span(found, MIB)} MiB of {kind} at its peak" if found else "no memory figure"

    def against(one: str, other: str) -> Standing:
        devices = {session.spec(label).device == "cpu" for label in (one, other)}
        if len(devices) > 1:
            return _unknown()
        return _by_ends(peak_memory(session, one), peak_memory(session, other))

    return Measure(
        figure="peak_memory_bytes",
        unit="bytes",
        value=value,
        words=words,
        against=against,
        better="less memory than",
        same="alike in memory with",
    )


MEASURES: dict[Goal, Callable[[Session], Measure]] = {
    Goal.LATENCY: _latency,
    Goal.P99: _p99,
    Goal.THROUGHPUT: _throughput,
    Goal.COST: _cost,
    Goal.MEMORY: _memory,
}


def _by_means(session: Session, one: str, other: str, factor: float) -> Standing:
    found = mean_ratio(session, other, one)
    if found is None:
        return _unknown()
    ratio = found.scaled(factor)
    shared = session.medians[one].keys() & session.medians[other].keys() - session.set_aside()
    launches = {session.launches[index] for index in shared}
    return Standing(
        ratio=ratio,
        verdict=judge(ratio.low, ratio.high, len(shared)),
        rounds=len(shared),
        launches=len(launches),
    )


def _by_ends(one: Estimate | None, other: Estimate | None) -> Standing:
    """Of two figures with intervals of their own: cautious, since both ends count against it."""
    if one is None or other is None or not one.value:
        return _unknown()
    high = other.high / one.low if one.low else float("inf")
    ratio = Estimate(other.value / one.value, other.low / one.high, high)
    return Standing(ratio=ratio, verdict=judge(ratio.low, ratio.high, MIN_ROUNDS))


def _unknown() -> Standing:
    return Standing(ratio=Estimate(1.0), verdict=Verdict.UNRESOLVED)


def _span(found: Estimate, unit: float) -> str:
    """`2.1 [2.0–2.3]`; without ends that aren't known or don't differ."""
    scaled = found.scaled(1 / unit)
    value = f"{scaled.value:.4g}"
    if scaled.low == scaled.high:
        return value
    return interval_text(scaled) if scaled.known else f"{value} [{scaled.low:.4g}–?]"
