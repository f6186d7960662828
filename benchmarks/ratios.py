"""The mean of a few independent ratios, with Student's interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from profiler.stats import student_quantile


def geometric_mean(ratios: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """(mean, low, high) of two ratios or more, by the mean of their logarithms."""
    logs = np.log(ratios)
    quantile = student_quantile(1 - (1 - level) / 2, logs.size - 1)
    centre, half = logs.mean(), quantile * logs.std(ddof=1) / np.sqrt(logs.size)
    return float(np.exp(centre)), float(np.exp(centre - half)), float(np.exp(centre + half))
