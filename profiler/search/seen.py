"""What was seen of each arm in a race: how it loaded, its calls, its memory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from profiler.search import racing
from profiler.search.racing import Standing
from profiler.types import ArmJudged, ArmState, EngineReady, RaceRound, Round


class Seen:
    """`ready` and `turns` (timed ones) by label."""

    def __init__(self, race: int, labels: Iterable[str]) -> None:
        self.race = race
        self.ready: dict[str, EngineReady] = {}
        self.turns: dict[str, list[Round]] = {label: [] for label in labels}

    def latest(self, index: int) -> list[Round]:
        """The turns of one round."""
        return [t[-1] for t in self.turns.values() if t and t[-1].index == index]

    def latencies_ns(
        self, label: str, rounds: Sequence[RaceRound], *, at_end: bool = False
    ) -> NDArray[np.float64]:
        """Of every call in the rounds that count."""
        counted = {item.index for item in racing.used(rounds, at_end=at_end)}
        calls = [
            latency
            for turn in self.turns[label]
            if turn.index in counted
            for latency in turn.latencies_ns
        ]
        return np.array(calls, dtype=np.float64)

    def peak_bytes(self, label: str) -> int:
        """Of the arm's process above its engine alone."""
        ready, turns = self.ready.get(label), self.turns[label]
        if ready is None or not turns:
            return 0
        return max(0, max(turn.peak_rss_bytes for turn in turns) - ready.baseline_rss_bytes)

    def judged(
        self,
        label: str,
        state: ArmState,
        reason: str,
        rounds: Sequence[RaceRound],
        standing: Standing | None,
        against: str,
    ) -> ArmJudged:
        """The event that tells what became of an arm, with its figures."""
        calls = self.latencies_ns(label, rounds, at_end=True)
        ready = self.ready.get(label)
        return ArmJudged(
            time_ns=time.time_ns(),
            race=self.race,
            label=label,
            state=state,
            reason=reason,
            against=against,
            ratio=standing.ratio if standing else 0.0,
            low=standing.low if standing else 0.0,
            high=standing.high if standing else 0.0,
            rounds=len(self.turns[label]),
            launches=len({turn.launch for turn in self.turns[label]}),
            calls=int(calls.size),
            p50_ns=float(np.median(calls)) if calls.size else 0.0,
            p99_ns=float(np.percentile(calls, 99)) if calls.size else 0.0,
            peak_memory_bytes=self.peak_bytes(label),
            load_time_ns=ready.load_time_ns if ready else 0,
            compile_time_ns=ready.compile_time_ns if ready else 0,
        )
