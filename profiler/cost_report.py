"""Every lane's costs over a session. Each figure states its formula, in words and in numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from profiler.compare import MIN_ROUNDS, judge
from profiler.cost import (
    DAYS_PER_MONTH,
    HOURS_PER_DAY,
    JOULES_PER_KWH,
    MILLION,
    SECONDS_PER_HOUR,
    CostFigure,
    CostReport,
    LaneCost,
    hours_per_million,
    hours_per_month,
    machines_needed,
    payback_days,
    price_of,
    saved_share,
)
from profiler.intervals import interval_text
from profiler.lanes import callers, forms
from profiler.measured import (
    batch_size,
    call_ns,
    energy,
    gpu_name,
    mean_ratio,
    tokens_per_call,
)
from profiler.session import Session
from profiler.types import CostSettings, Estimate, Verdict


def cost_report(session: Session, settings: CostSettings) -> CostReport:
    """Every lane that was measured, the baseline first; savings are against it."""
    inputs = session.plan.inputs if session.plan else ()
    batch, tokens = batch_size(inputs), tokens_per_call(inputs)
    baseline = session.baseline()
    order = [baseline, *(label for label in session.labels() if label != baseline)]
    lanes = []
    for label in order:
        if label and session.latency_stats(label) is not None:
            spec = session.spec(label)
            lanes.append(
                LaneCost(
                    label=label,
                    name=session.name(label),
                    device=spec.device,
                    price=price_of(spec, gpu_name(session, spec.device), settings),
                    figures=tuple(_Lane(session, settings, label, batch, tokens).figures()),
                )
            )
    return CostReport(
        settings=settings,
        baseline=baseline,
        batch=batch,
        tokens=tokens,
        lanes=tuple(lanes),
        missing=tuple(_missing(lanes, settings)),
    )


def _missing(lanes: list[LaneCost], settings: CostSettings) -> Iterator[str]:
    unpriced = dict.fromkeys(lane.device for lane in lanes if lane.price is None)
    if unpriced:
        yield f"a price per hour of {', '.join(unpriced)}"
    if settings.requests_per_day is None:
        yield "requests per day, for costs and savings per month"
    has_energy = any(lane.figure("energy_per_million") for lane in lanes)
    if has_energy and settings.price_per_kwh is None:
        yield "a price per kWh, for the cost of energy"


class _Lane:
    """One lane's figures, in the order in which a person reads them."""

    def __init__(
        self, session: Session, settings: CostSettings, label: str, batch: int, tokens: int | None
    ) -> None:
        self.session, self.settings = session, settings
        self.label, self.batch, self.tokens = label, batch, tokens
        stats, time_ns = session.latency_stats(label), call_ns(session, label)
        assert stats is not None and time_ns is not None
        self.latency_ns, self.call_ns = stats.mean_ns, time_ns
        spec = session.spec(label)
        self.callers = callers(spec)
        # Rows of a table are of all lanes: so are the words of their formulas.
        self.overlapping = any(callers(session.spec(name)) > 1 for name in session.labels())
        self.time = "time per call" if self.overlapping else "mean latency"
        self.times = "times per call" if self.overlapping else "mean latencies"
        self.price = price_of(spec, gpu_name(session, spec.device), settings)

    def figures(self) -> Iterator[CostFigure]:
        yield from self._of_calls()
        yield from self._of_a_month()
        yield from self._energy()
        baseline = self.session.baseline()
        if self.label != baseline:
            ratio = mean_ratio(self.session, baseline, self.label)
            if ratio is not None:
                yield from self._savings(baseline, ratio)

    def _of_calls(self) -> Iterator[CostFigure]:
        used, batch = self.settings.utilization, self.batch
        latency_ms, ms = self.latency_ns / 1e6, self.call_ns / 1e6
        yield CostFigure(
            key="mean_ms",
            title="Mean latency of a call",
            value=latency_ms,
            unit="ms",
            formula="mean over all timed iterations of this session",
            worked=f"{latency_ms:.4g} ms",
        )
        if self.overlapping:
            yield CostFigure(
                key="call_ms",
                title="Time per call",
                value=ms,
                unit="ms",
                formula="mean latency of one caller; of several at once, what the lane's turns "
                "took / calls of all callers",
                worked=f"{ms:.4g} ms, callers: {self.callers}",
            )
        yield CostFigure(
            key="throughput",
            title="Throughput" if self.overlapping else "Throughput, one caller",
            value=batch / ms * 1e3,
            unit="/s",
            formula=f"batch size / {self.time}",
            worked=f"{batch} / {ms:.4g} ms",
        )
        hours = hours_per_million(self.call_ns, batch, used)
        yield CostFigure(
            key="hours_per_million",
            title="Machine hours per million inferences",
            value=hours,
            unit="h",
            formula=f"1,000,000 / batch size × {self.time} / 3600 s / utilization",
            worked=f"1,000,000 / {batch} × {ms / 1e3:.4g} s / 3600 s / {used:g}",
        )
        if self.price is None:
            return
        yield self._money(
            "cost_per_million",
            "Cost per million inferences",
            hours * self.price,
            "machine hours per million × price per hour",
            f"{hours:.4g} h × {self.price:g}",
        )
        if self.tokens:
            token_hours = hours_per_million(self.call_ns, self.tokens, used)
            yield self._money(
                "cost_per_million_tokens",
                "Cost per million tokens taken in",
                token_hours * self.price,
                f"1,000,000 / tokens in a call × {self.time} / 3600 s / utilization × price",
                f"1,000,000 / {self.tokens} × {ms / 1e3:.4g} s / 3600 s / {used:g} "
                f"× {self.price:g}",
            )

    def _of_a_month(self) -> Iterator[CostFigure]:
        requests, used = self.settings.requests_per_day, self.settings.utilization
        if requests is None:
            return
        hours = hours_per_month(self.call_ns, self.batch, requests, used)
        yield CostFigure(
            key="hours_per_month",
            title="Machine hours per month, by use",
            value=hours,
            unit="h",
            formula=f"requests per day × 30.44 days / batch size × {self.time} / 3600 s "
            "/ utilization",
            worked=f"{requests:,.0f} × {DAYS_PER_MONTH:.2f} / {self.batch} × "
            f"{self.call_ns / 1e9:.4g} s / 3600 s / {used:g}",
        )
        count = self._machines(self.call_ns, requests)
        busy = f"{requests:,.0f} / {self.batch} × {self.call_ns / 1e9:.4g} s / 86400 s / {used:g}"
        yield CostFigure(
            key="machines",
            title="Machines kept on",
            value=count,
            unit="",
            formula=f"the larger of replicas and requests per day / batch size × {self.time} "
            "/ 86400 s / utilization, rounded up",
            worked=f"max({self.settings.replicas}, ⌈{busy}⌉)",
        )
        if self.price is None:
            return
        yield self._money(
            "cost_per_month",
            "Cost per month, by use",
            hours * self.price,
            "machine hours per month × price per hour",
            f"{hours:.4g} h × {self.price:g}",
        )
        yield self._money(
            "cost_per_month_on",
            "Cost per month, machines always on",
            count * HOURS_PER_DAY * DAYS_PER_MONTH * self.price,
            "machines × 24 h × 30.44 days × price per hour",
            f"{count} × 24 h × {DAYS_PER_MONTH:.2f} × {self.price:g}",
        )

    def _machines(self, call_ns: float, requests: float) -> int:
        settings = self.settings
        return machines_needed(
            call_ns, self.batch, requests, settings.utilization, settings.replicas
        )

    def _energy(self) -> Iterator[CostFigure]:
        found = energy(self.session, self.label)
        if found is None:
            return
        kwh = MILLION / self.batch * found.joules_per_call / JOULES_PER_KWH
        yield CostFigure(
            key="energy_per_million",
            title="GPU energy per million inferences",
            value=kwh,
            unit="kWh",
            formula=f"1,000,000 / batch size × mean power in the lane's turns × {self.time} "
            "/ 3,600,000 J (GPU alone; NVML averages power over up to a second, so that lanes "
            "that take turns blend)",
            worked=f"1,000,000 / {self.batch} × {found.power_w:.4g} W ({found.samples} readings) × "
            f"{self.call_ns / 1e9:.4g} s / 3,600,000 J",
        )
        if self.settings.price_per_kwh is not None:
            yield self._money(
                "energy_cost_per_million",
                "Cost of GPU energy per million inferences",
                kwh * self.settings.price_per_kwh,
                "energy per million × price per kWh",
                f"{kwh:.4g} kWh × {self.settings.price_per_kwh:g}",
            )

    def _savings(self, baseline: str, ratio: Estimate) -> Iterator[CostFigure]:
        """Against the baseline; the interval is that of the ratio of times per call."""
        words = interval_text(ratio)
        if self.session.spec(baseline).device == self.session.spec(self.label).device:
            yield CostFigure(
                key="saved_hours_share",
                title="Machine hours saved",
                value=100 * saved_share(ratio.value),
                low=100 * saved_share(ratio.low),
                high=100 * saved_share(ratio.high),
                unresolved=_is_open(ratio.low, ratio.high),
                unit="%",
                formula=f"1 − 1 / (baseline's {self.time} / this lane's), interval of that ratio",
                worked=f"1 − 1 / {words}",
            )
        once, once_worked = self._once()
        if self.price is not None:
            yield self._money(
                "one_time",
                "One-time cost of conversion",
                once,
                "conversion time × price per hour + own cost; 0 where the lane takes the file "
                "as it is",
                once_worked,
            )
        requests = self.settings.requests_per_day
        base = _Lane(self.session, self.settings, baseline, self.batch, self.tokens)
        if requests is None or self.price is None or base.price is None:
            return
        hours = hours_per_month(base.call_ns, self.batch, requests, self.settings.utilization)
        saved = [self._saved(hours, base.price, r) for r in (ratio.value, ratio.low, ratio.high)]
        dearer = base.price / self.price
        unresolved = _is_open(dearer * ratio.low, dearer * ratio.high)
        yield self._money(
            "saving_per_month",
            "Saving per month, by use",
            saved[0],
            f"baseline's hours per month × (its price − this lane's price / ratio of {self.times})",
            f"{hours:.4g} h × ({base.price:g} − {self.price:g} / {words})",
            saved[1:],
            unresolved=unresolved,
        )
        yield self._saving_on(base, ratio, requests)
        days = [payback_days(once, value) for value in saved]
        yield CostFigure(
            key="payback_days",
            title="Conversion pays back after",
            value=days[0],
            low=days[2],
            high=days[1],
            unresolved=unresolved and once > 0,
            unit="days",
            formula="one-time cost / (saving per month, by use / 30.44 days)",
            worked=f"{once:.4g} / ({saved[0]:.4g} / {DAYS_PER_MONTH:.2f})",
        )

    def _saved(self, base_hours: float, base_price: float, ratio: float) -> float:
        assert self.price is not None
        return base_hours * (base_price - self.price / ratio) if ratio > 0 else -math.inf

    def _saving_on(self, base: _Lane, ratio: Estimate, requests: float) -> CostFigure:
        """Whole machines: often nothing, however sure the speedup is."""
        assert self.price is not None and base.price is not None
        month = HOURS_PER_DAY * DAYS_PER_MONTH
        before = self._machines(base.call_ns, requests)
        after = [
            self._machines(base.call_ns / r, requests) if r > 0 else math.inf
            for r in (ratio.value, ratio.low, ratio.high)
        ]
        saved = [month * (before * base.price - count * self.price) for count in after]
        return self._money(
            "saving_per_month_on",
            "Saving per month, machines always on",
            saved[0],
            "24 h × 30.44 days × (baseline's machines × its price − this lane's machines × its "
            "price)",
            f"24 h × {DAYS_PER_MONTH:.2f} × ({before} × {base.price:g} − "
            f"{after[0]:g} × {self.price:g})",
            saved[1:],
            unresolved=saved[1] < 0 < saved[2],
        )

    def _once(self) -> tuple[float, str]:
        """Computing time of the conversion and the person's own cost; nothing where none was."""
        plan = self.session.plan
        spec = self.session.spec(self.label)
        if plan is None or not forms(spec, spec.model or plan.model):
            return 0.0, "no conversion"
        took_ns = sum(c.duration_ns for c in self.session.converted if self.label in c.labels)
        seconds, own = took_ns / 1e9, self.settings.own_cost
        time_words = f"{seconds:.4g} s" if took_ns else "time not known, taken as 0 s"
        computing = seconds / SECONDS_PER_HOUR * (self.price or 0.0)
        return computing + own, f"{time_words} / 3600 s × {self.price or 0.0:g} + {own:g}"

    def _money(
        self,
        key: str,
        title: str,
        value: float,
        formula: str,
        worked: str,
        interval: list[float] | None = None,
        *,
        unresolved: bool = False,
    ) -> CostFigure:
        low, high = interval or (None, None)
        return CostFigure(
            key=key,
            title=title,
            value=value,
            unit="money",
            formula=formula,
            worked=worked,
            low=low,
            high=high,
            unresolved=unresolved,
        )


def _is_open(low: float, high: float) -> bool:
    """Whether this interval of a ratio of costs tells neither a saving nor a loss nor the same."""
    return judge(low, high, MIN_ROUNDS) is Verdict.UNRESOLVED
