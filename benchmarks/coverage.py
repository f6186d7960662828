"""How often does the interval hold the truth, with the stopping rule in force? By simulation.

    python benchmarks/coverage.py [--runs 400] [--launches 8] [--rounds 20] [--used]

A run has up to `--launches` launches of `--rounds` rounds. Each launch has an effect of its own,
drawn anew, on the ratio; each round has noise; and in the last lines one process of ten is slower
as a whole, by 5 to 80 %. From the third launch on the interval is worked out after every launch,
and the run ends when it is narrower than 2 %, as in `profiler.supervisor`. Three intervals are
compared: Dualscope's, whose unit is the launch; Student's of the launches' log medians; and a
percentile bootstrap by circular moving blocks (Politis and Romano 1992) over all rounds alike, as
if one launch were like another. `--used` leaves the others out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from benchmarks.ratios import geometric_mean
from profiler.compare import judge
from profiler.stats import LEVEL, launches_estimate
from profiler.types import StoppingRule, Verdict

LEAST_LAUNCHES = 3
RESAMPLES = 400
FIVE_PERCENT = 1 / 1.05
SPREADS = (0.0, 0.005, 0.01, 0.02, 0.03)
SLOW_SHARE, SLOWER_BY = 0.1, (0.05, 0.8)
Values = NDArray[np.float64]
Interval = Callable[[Sequence[Values]], tuple[float, float, float]]


def spiky(rng: np.random.Generator, rounds: int) -> Values:
    """2 %, and in one round of ten five times as wide."""
    wide = 1 + 4 * (rng.random(rounds) < 0.1)
    return rng.standard_normal(rounds) * 0.02 * wide


def correlated(rng: np.random.Generator, rounds: int) -> Values:
    """2 %, first-order autoregressive with coefficient 0.5."""
    steps, found = rng.standard_normal(rounds) * 0.02, np.zeros(rounds)
    for index in range(1, rounds):
        found[index] = 0.5 * found[index - 1] + steps[index]
    return found


def bursts(rng: np.random.Generator, rounds: int) -> Values:
    """1 %, and 40 % in bursts of three rounds or so, a third of the time."""
    busy, on = np.zeros(rounds), False
    for index in range(rounds):
        on = rng.random() < (0.7 if on else 0.15)
        busy[index] = on
    return rng.standard_normal(rounds) * 0.01 + busy * rng.standard_normal(rounds) * 0.4


NOISES = {"2 %, spikes": spiky, "2 %, correlated": correlated, "1 %, bursts": bursts}


def bootstrap(ratios: Sequence[Values]) -> tuple[float, float, float]:
    """Percentile interval of the median of all rounds, by circular moving blocks."""
    values = np.concatenate(ratios)
    count = values.size
    length = max(1, round(count ** (1 / 3)))
    rng = np.random.default_rng(0)
    starts = rng.integers(0, count, size=(RESAMPLES, -(-count // length), 1))
    picks = ((starts + np.arange(length)) % count).reshape(RESAMPLES, -1)[:, :count]
    low, high = np.percentile(np.median(values[picks], axis=1), (2.5, 97.5))
    return float(np.median(values)), float(low), float(high)


def students(ratios: Sequence[Values]) -> tuple[float, float, float]:
    """Mean of the launches' log medians, with the same confidence of one look."""
    return geometric_mean([np.median(values) for values in ratios], LEVEL)


USED = "launches (used)"
METHODS: dict[str, Interval] = {
    USED: launches_estimate,
    "Student's": students,
    "bootstrap": bootstrap,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--launches", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=20, help="of each launch")
    parser.add_argument("--used", action="store_true", help="only the interval that is in use")
    arguments = parser.parse_args()
    methods = {USED: METHODS[USED]} if arguments.used else METHODS
    print(
        "| launches differ by | slow processes | noise of a round | interval | truth inside "
        "| A/A called | 5 % found | launches | median width |\n" + "|---" * 9 + "|"
    )
    cases = [(spread, 0.0, noise) for spread in SPREADS for noise in NOISES]
    cases += [(spread, SLOW_SHARE, "2 %, spikes") for spread in SPREADS]
    for spread, slow, noise in cases:
        truth = Truth(spread, slow, NOISES[noise], arguments.launches, arguments.rounds)
        for name, interval in methods.items():
            print(row(truth, noise, name, interval, arguments.runs), flush=True)
    return 0


@dataclass(frozen=True)
class Truth:
    """What launches differ by, the share of processes that are slow, and the noise of a round.

    A run has at most so many launches, each of so many rounds.
    """

    spread: float
    slow: float
    draw: Callable[[np.random.Generator, int], Values]
    launches: int
    rounds: int

    def launch(self, rng: np.random.Generator) -> Values:
        """Paired log ratios of one launch: a slow baseline raises them, a slow candidate lowers."""
        effect = rng.standard_normal() * self.spread
        for sign in (1, -1):
            if rng.random() < self.slow:
                effect += sign * np.log1p(rng.uniform(*SLOWER_BY))
        return np.asarray(effect + self.draw(rng, self.rounds))


def row(truth: Truth, noise: str, name: str, interval: Interval, runs: int) -> str:
    """One line of the table."""
    rng = np.random.default_rng(1)
    same = [one_run(rng, 1.0, truth, interval) for _ in range(runs)]
    slower = [one_run(rng, FIVE_PERCENT, truth, interval) for _ in range(runs // 2)]
    inside = np.mean([low <= 1.0 <= high for low, high, _ in same])
    verdicts = [judge(low, high, truth.rounds * count) for low, high, count in same]
    called = np.mean([v in (Verdict.FASTER, Verdict.SLOWER) for v in verdicts])
    called_slower = [
        judge(low, high, truth.rounds * n) is Verdict.SLOWER for low, high, n in slower
    ]
    found = np.mean(called_slower)
    launches = np.mean([count for *_, count in same])
    width = np.median([high - low for low, high, _ in same])
    return (
        f"| {truth.spread:.1%} | {truth.slow:.0%} | {noise} | {name} | {inside:.1%} "
        f"| {called:.1%} | {found:.0%} | {launches:.1f} | {width:.1%} |"
    )


def one_run(
    rng: np.random.Generator, ratio: float, truth: Truth, interval: Interval
) -> tuple[float, float, int]:
    """Interval at the end of the run, and how many launches that took."""
    target = StoppingRule().target_width
    ratios: list[Values] = []
    low, high = 0.0, float("inf")
    while len(ratios) < truth.launches:
        ratios.append(ratio * np.exp(truth.launch(rng)))
        if len(ratios) >= LEAST_LAUNCHES:
            centre, low, high = interval(ratios)
            if (high - low) / centre <= target:
                break
    return low, high, len(ratios)


if __name__ == "__main__":
    sys.exit(main())
