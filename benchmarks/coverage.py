"""How often does the interval hold the truth, with the stopping rule in force? By simulation.

    python benchmarks/coverage.py [--runs 1000]

Rounds' ratios are drawn from distributions with median 1; after each round from the tenth on the
interval is worked out, and the run ends when it is narrower than 2 % or after 250 rounds, as in
`profiler.supervisor`. The percentile bootstrap by circular moving blocks (Politis and Romano 1992)
is what Dualscope used at first.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from profiler.compare import MIN_ROUNDS, judge
from profiler.stats import median_interval
from profiler.types import StoppingRule, Verdict

MOST_ROUNDS = 250
RESAMPLES = 400
Values = NDArray[np.float64]
Interval = Callable[[Values], tuple[float, float]]


def spiky(rng: np.random.Generator, spread: float) -> Values:
    """Normal, and in one round of ten five times as wide."""
    wide = 1 + 4 * (rng.random(MOST_ROUNDS) < 0.1)
    return np.exp(rng.standard_normal(MOST_ROUNDS) * spread * wide)


def correlated(rng: np.random.Generator, spread: float) -> Values:
    """First-order autoregressive, coefficient 0.5."""
    steps = rng.standard_normal(MOST_ROUNDS) * spread
    found = np.zeros(MOST_ROUNDS)
    for index in range(1, MOST_ROUNDS):
        found[index] = 0.5 * found[index - 1] + steps[index]
    return np.exp(found)


NOISES: dict[str, Callable[[np.random.Generator], Values]] = {
    "0.4 %, with spikes": lambda rng: spiky(rng, 0.004),
    "1 %, with spikes": lambda rng: spiky(rng, 0.01),
    "3 %, with spikes": lambda rng: spiky(rng, 0.03),
    "8 %, with spikes": lambda rng: spiky(rng, 0.08),
    "3 %, correlated": lambda rng: correlated(rng, 0.03),
}


def bootstrap(values: Values) -> tuple[float, float]:
    """Percentile interval of the median by circular moving blocks."""
    count = values.size
    length = max(1, round(count ** (1 / 3)))
    rng = np.random.default_rng(0)
    starts = rng.integers(0, count, size=(RESAMPLES, -(-count // length), 1))
    picks = ((starts + np.arange(length)) % count).reshape(RESAMPLES, -1)[:, :count]
    low, high = np.percentile(np.median(values[picks], axis=1), (2.5, 97.5))
    return float(low), float(high)


METHODS: dict[str, Interval] = {"sign test (used)": median_interval, "bootstrap": bootstrap}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    print(
        "| noise of a round's ratio | interval | truth inside | called faster or slower | rounds |"
    )
    print("|---|---|---|---|---|")
    for noise, draw in NOISES.items():
        for name, interval in METHODS.items():
            rng = np.random.default_rng(1)
            # The bootstrap takes long: fewer runs, and a look at every second round.
            count, step = (runs, 1) if interval is median_interval else (runs // 5, 2)
            found = [one_run(draw(rng), interval, step) for _ in range(count)]
            inside = sum(low <= 1 <= high for low, high, _ in found) / count
            verdicts = [judge(low, high, rounds) for low, high, rounds in found]
            called = sum(v in (Verdict.FASTER, Verdict.SLOWER) for v in verdicts) / count
            rounds = np.mean([rounds for *_, rounds in found])
            print(f"| {noise} | {name} | {inside:.1%} | {called:.1%} | {rounds:.0f} |", flush=True)
    return 0


def one_run(values: Values, interval: Interval, step: int) -> tuple[float, float, int]:
    """Interval at the end of the run, and how many rounds that took."""
    target = StoppingRule().target_width
    for rounds in range(MIN_ROUNDS, MOST_ROUNDS + 1, step):
        low, high = interval(values[:rounds])
        if (high - low) / float(np.median(values[:rounds])) <= target:
            break
    return low, high, rounds


if __name__ == "__main__":
    sys.exit(main())
