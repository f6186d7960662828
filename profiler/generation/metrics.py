"""Figures of generated text in the field's terms: pure functions over a session.

Time to first token (TTFT): from the start of a generation, or of sending a request, to its first
token. Inter-token latency (ITL): from one token, or piece of a stream, to the next. Decode rate:
new tokens after the first, over the time that they took, in one generation. Throughput: all new
tokens of a turn over its span, requests that overlap included.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiler.compare import compare_rounds
from profiler.session import Session
from profiler.types import Comparison, Generated, Generations, RoundKind


def turn_ttft_ns(turn: Generations) -> float | None:
    """Median over the turn's generations."""
    firsts = [steps[0] for steps in turn.steps_ns if steps]
    return float(statistics.median(firsts)) if firsts else None


def turn_itl_ns(turn: Generations) -> float | None:
    """Median over all steps of the turn."""
    gaps = [gap for steps in turn.steps_ns for gap in steps[1:]]
    return float(statistics.median(gaps)) if gaps else None


def turn_per_token_ns(turn: Generations) -> float | None:
    """Mean over the turn: the inverse of its decode rate."""
    tokens = sum(decoded_tokens(turn))
    return sum(sum(steps[1:]) for steps in turn.steps_ns) / tokens if tokens else None


def decoded_tokens(turn: Generations) -> list[int]:
    """Of each generation, the new tokens after the first: the server's count where it gave one."""
    counted = turn.tokens or tuple(len(steps) for steps in turn.steps_ns)
    return [max(0, count - 1) for count in counted]


# By key: what it is called, and the ns of one turn that lanes are compared by.
METRICS: dict[str, tuple[str, Callable[[Generations], float | None]]] = {
    "ttft": ("time to first token", turn_ttft_ns),
    "itl": ("inter-token latency", turn_itl_ns),
    "per_token": ("time per new token after the first", turn_per_token_ns),
}


@dataclass(frozen=True)
class Spread:
    """Percentiles and mean, in ns."""

    p50: float
    p90: float
    p99: float
    mean: float


@dataclass(frozen=True)
class GenerationStats:
    """One lane's figures over its timed turns; rates in tokens a second.

    `decode_tokens_per_s` is one generation's; `throughput_tokens_per_s` counts overlapping ones
    together. Cache in bytes. `failed` of `requests` didn't come to an end.
    """

    label: str
    ttft: Spread
    itl: Spread
    end_to_end: Spread
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    throughput_tokens_per_s: float
    requests_per_s: float
    new_tokens: float
    generations: int
    requests: int
    failed: int
    errors: Mapping[str, int]
    cache_bytes: int
    cache_used_bytes: int
    counted_by_server: bool


def timed_turns(session: Session, label: str) -> list[Generated]:
    """The lane's turns that take part in figures."""
    aside = session.set_aside()
    return [
        turn
        for turn in session.generated.get(label, ())
        if turn.kind is RoundKind.TIMED and turn.index not in aside
    ]


def generation_stats(session: Session, label: str) -> GenerationStats | None:
    """None before the first timed turn with a generation that came to an end."""
    turns = [turn.generations for turn in timed_turns(session, label)]
    steps = [s for turn in turns for s in turn.steps_ns if s]
    plan = session.plan
    if not steps or plan is None or plan.generation is None:
        return None
    gaps = np.concatenate([np.asarray(s[1:], dtype=np.float64) for s in steps])
    decoded = sum(sum(decoded_tokens(turn)) for turn in turns)
    prompts = sum(
        sum(turn.prompt_tokens) or plan.generation.prompt_tokens * len(turn.steps_ns)
        for turn in turns
    )
    span_s = sum(turn.span_ns for turn in turns) / 1e9
    failures = [error for turn in turns for error in turn.errors]
    firsts = np.asarray([s[0] for s in steps], dtype=np.float64)
    return GenerationStats(
        label=label,
        ttft=_spread(firsts),
        itl=_spread(gaps),
        end_to_end=_spread(np.asarray([sum(s) for s in steps], dtype=np.float64)),
        prefill_tokens_per_s=_rate(prompts, float(firsts.sum())),
        decode_tokens_per_s=_rate(decoded, float(gaps.sum())),
        throughput_tokens_per_s=(decoded + len(steps)) / span_s if span_s else 0.0,
        requests_per_s=len(steps) / span_s if span_s else 0.0,
        new_tokens=(decoded + len(steps)) / len(steps),
        generations=len(steps),
        requests=len(steps) + len(failures),
        failed=len(failures),
        errors={text: failures.count(text) for text in dict.fromkeys(failures)},
        cache_bytes=max(turn.cache_bytes for turn in turns),
        cache_used_bytes=max(turn.cache_used_bytes for turn in turns),
        counted_by_server=any(turn.tokens for turn in turns),
    )


def _spread(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Spread:
    if not values.size:
        return Spread(0.0, 0.0, 0.0, 0.0)
    p50, p90, p99 = (float(p) for p in np.percentile(values, (50, 90, 99)))
    return Spread(p50, p90, p99, float(values.mean()))


def _rate(tokens: int, time_ns: float) -> float:
    return tokens * 1e9 / time_ns if time_ns > 0 else 0.0


def by_position(session: Session, label: str) -> list[tuple[int, float, float, float]]:
    """(position of the token, p50, p10, p90 in ns) of each step after the first token.

    Positions count new tokens from 1, which is the prefill's and left out.
    """
    found: dict[int, list[int]] = {}
    for turn in timed_turns(session, label):
        for steps in turn.generations.steps_ns:
            for place, gap in enumerate(steps[1:], start=2):
                found.setdefault(place, []).append(gap)
    rows = []
    for place, gaps in sorted(found.items()):
        low, middle, high = (float(p) for p in np.percentile(gaps, (10, 50, 90)))
        rows.append((place, middle, low, high))
    return rows


def comparisons(session: Session, key: str) -> list[Comparison]:
    """Each lane against the baseline by one of METRICS, with the same statistics as latencies.

    The intervals of all metrics and lanes of a run hold together (Bonferroni).
    """
    if session.plan is None:
        return []
    measure = METRICS[key][1]
    values = {
        label: _by_round(session.generated.get(label, ()), measure) for label in session.labels()
    }
    baseline = session.baseline()
    if not values.get(baseline):
        return []
    family = max(1, len(session.plan.engines) - 1) * len(METRICS)
    found = [
        compare_rounds(
            (baseline, values[baseline]),
            (label, values[label]),
            set_aside=session.set_aside(),
            launches=session.launches,
            comparisons=family,
        )
        for label in session.labels()
        if label != baseline
    ]
    return [comparison for comparison in found if comparison]


def _by_round(
    turns: Sequence[Generated], measure: Callable[[Generations], float | None]
) -> dict[int, float]:
    found = {}
    for turn in turns:
        if turn.kind is RoundKind.TIMED:
            value = measure(turn.generations)
            if value is not None and value > 0:
                found[turn.index] = value
    return found
