"""How often do the intervals of p99 and of ratios of means hold the truth? By simulation.

    python benchmarks/tail_coverage.py [--runs 300]

Latencies are log-normal, 10 % wide, independent or correlated from call to call (first-order
autoregressive); launches differ by an effect of their own. Ratios of means: rounds with 3 %
noise, of which one in twenty takes half as long again.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from profiler.stats import mean_ratio_interval
from profiler.tails import percentile_interval

WIDTH, CALLS = 0.1, 40
Z99 = 2.326348
SHAPES = ((1, 40), (6, 20), (8, 40))
Values = NDArray[np.float64]


def calls(rng: np.random.Generator, count: int, correlation: float) -> Values:
    """Standard normal, each like the one before."""
    steps = rng.standard_normal(count) * math.sqrt(1 - correlation**2)
    found = np.empty(count)
    found[0] = rng.standard_normal()
    for index in range(1, count):
        found[index] = correlation * found[index - 1] + steps[index]
    return found


def p99_line(rng: np.random.Generator, runs: int, correlation: float, spread: float) -> None:
    truth = math.exp(Z99 * math.hypot(WIDTH, spread))
    for launches, rounds in SHAPES:
        covered, widths = 0, []
        for _ in range(runs):
            values = []
            for _ in range(launches):
                logs = WIDTH * calls(rng, rounds * CALLS, correlation)
                logs += rng.standard_normal() * spread
                values.append(list(np.exp(logs).reshape(rounds, CALLS)))
            low, high = percentile_interval(values, 0.99)
            covered += low <= truth <= high
            widths.append((high - low) / truth)
        print(
            f"| p99 | {correlation:g} | {spread:.1%} | {launches} x {rounds} | "
            f"{covered / runs:.1%} | {float(np.median(widths)):.1%} |",
            flush=True,
        )


def spiky(rng: np.random.Generator) -> Values:
    return 1 + 0.03 * rng.standard_normal(20) + 0.5 * (rng.random(20) < 0.05)


def means_line(rng: np.random.Generator, runs: int, launches: int, spread: float) -> None:
    truth, covered, widths = 2 * math.exp(spread**2 / 2), 0, []
    for _ in range(runs):
        pairs = []
        for _ in range(launches):
            effect = 2 * math.exp(rng.standard_normal() * spread)
            pairs.append((effect * spiky(rng), spiky(rng)))
        ratio = sum(b.mean() for b, _ in pairs) / sum(c.mean() for _, c in pairs)
        low, high = mean_ratio_interval(float(ratio), pairs)
        covered += low <= truth <= high
        widths.append((high - low) / truth)
    print(
        f"| ratio of means | 0 | {spread:.1%} | {launches} x 20 | {covered / runs:.1%} | "
        f"{float(np.median(widths)):.1%} |",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    runs = parser.parse_args().runs
    print("| figure | correlation | launches differ by | launches x rounds | covered | width |")
    print("|---|---|---|---|---|---|")
    for correlation in (0.0, 0.9):
        for spread in (0.0, 0.01, 0.02):
            p99_line(np.random.default_rng(1), runs, correlation, spread)
    for spread in (0.0, 0.01, 0.02):
        for launches in (1, 3, 6):
            means_line(np.random.default_rng(2), runs, launches, spread)
    return 0


if __name__ == "__main__":
    sys.exit(main())
