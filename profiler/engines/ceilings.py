"""The best of several short tries: what an engine reaches here on large, simple operators."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from profiler.types import Ceiling

# A short try may fit between two others of a busy machine; a long one may need every core.
SIDES = (256, 512, 1024)
SQUARES = " / ".join(f"{side}²" for side in SIDES)
# Passes go over more than caches hold, in parts and as a whole.
PASSED_BYTES, PARTS = 64 << 20, 8
LEAST_TIMES, LEAST_NS = 3, 200_000_000
# What a call does, in FLOPs or bytes, and the call.
Try = tuple[float, Callable[[], object]]


def measured(products: Sequence[Try], passes: Sequence[Try], how: str) -> Ceiling:
    """The best rate of each; takes about half a second. Products and passes are in float32."""
    return Ceiling(flops_per_s=best_rate(products), bytes_per_s=best_rate(passes), how=how)


def best_rate(tries: Sequence[Try], clock: Callable[[], int] = time.perf_counter_ns) -> float:
    """Per second, of the fastest call. Each is called several times, in turn."""
    started, best, times = clock(), 0.0, 0
    while times < LEAST_TIMES or clock() - started < LEAST_NS:
        for amount, call in tries:
            before = clock()
            call()
            best = max(best, amount / max(clock() - before, 1) * 1e9)
        times += 1
    return best


def product_flops(side: int) -> float:
    """Of two square matrices."""
    return 2.0 * side**3
