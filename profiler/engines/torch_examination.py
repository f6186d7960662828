"""What is looked at once a run in a PyTorch lane: ceilings, GPU kernels, what was compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from profiler.engines.ceilings import (
    PARTS,
    PASSED_BYTES,
    SIDES,
    SQUARES,
    Try,
    measured,
    product_flops,
)
from profiler.types import Ceiling, Compilation, KernelUse

TRACED_CALLS = 3
MOST_REASONS, REASON_LENGTH = 3, 300


def measure_ceiling() -> Ceiling:
    """On the CPU, of products and copies in float32."""
    matrices = [[torch.ones(side, side) for _ in range(3)] for side in SIDES]
    products: list[Try] = [
        (product_flops(a.shape[0]), partial(torch.mm, a, b, out=out)) for a, b, out in matrices
    ]
    source, target = torch.ones(PASSED_BYTES // 4), torch.zeros(PASSED_BYTES // 4)
    pieces = zip(source.chunk(PARTS), target.chunk(PARTS), strict=True)
    passes: list[Try] = [(2.0 * a.nbytes, partial(b.copy_, a)) for a, b in pieces]
    passes.append((2.0 * PASSED_BYTES, partial(target.copy_, source)))
    return measured(
        products,
        passes,
        f"PyTorch's mm of {SQUARES} and copy of {PASSED_BYTES >> 20} MiB, float32",
    )


def kernel_use(call: Callable[[], object], settled: Callable[[], None]) -> KernelUse:
    """Kernels of some calls as PyTorch's profiler sees them. Needs a GPU."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(TRACED_CALLS):
            call()
        settled()
    return read_kernels(profile.profiler.kineto_results.events())


def read_kernels(events: Sequence[Any]) -> KernelUse:
    """From Kineto's events: those on the GPU, which may run side by side."""
    cpu = torch._C._autograd.DeviceType.CPU
    spans = sorted(
        (e.start_ns(), e.start_ns() + e.duration_ns()) for e in events if e.device_type() != cpu
    )
    busy = until = 0
    for start, end in spans:
        busy += max(0, end - max(start, until))
        until = max(until, end)
    return KernelUse(kernels=len(spans), busy_ns=busy, span_ns=until - spans[0][0] if spans else 0)


def counted() -> Compilation:
    """What Dynamo has counted in this process so far.

    A break leaves a function that is resumed after it; one that the compiler foresaw shows there
    alone. A frame's second and later compilations are recompiles.
    """
    from torch._dynamo.utils import counters, get_compilation_metrics

    breaks = max(len(counters["resumes"]), sum(counters["graph_break"].values()))
    reasons = [*counters["graph_break"], *counters["unimplemented"]] if breaks else []
    again = [str(m.recompile_reason) for m in get_compilation_metrics() if m.recompile_reason]
    return Compilation(
        graph_breaks=breaks,
        break_reasons=_short(reasons),
        recompiles=len(again),
        recompile_reasons=_short(again),
    )


def _short(reasons: Sequence[str]) -> tuple[str, ...]:
    """The first line of each, which says what; the rest are hints."""
    lines = [" ".join(text.strip().splitlines()[0].split())[:REASON_LENGTH] for text in reasons]
    return tuple(dict.fromkeys(lines))[:MOST_REASONS]
