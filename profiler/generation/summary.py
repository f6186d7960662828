"""A session of generated text in lines for a person: pure functions."""

from __future__ import annotations

from profiler.generation.metrics import METRICS, comparisons, generation_stats
from profiler.intervals import interval_text
from profiler.session import Session

KIB, MIB = 2**10, 2**20


def generation_summary(session: Session) -> str:
    """Workload, one line a lane, and each metric's comparison."""
    plan = session.plan.generation if session.plan else None
    if plan is None:
        return ""
    lines = [
        f"prompt of {plan.prompt_tokens} tokens, {plan.new_tokens} new ones, greedy",
        "",
        f"{'lane':<28}{'TTFT p50':>10}{'p99 ms':>10}{'ITL p50':>10}{'p99 ms':>10}"
        f"{'prefill/s':>11}{'decode/s':>10}{'cache':>11}",
    ]
    for label in session.labels():
        found = generation_stats(session, label)
        if found is None:
            lines.append(f"{session.name(label):<28}{'not measured':>20}")
            continue
        times = (found.ttft.p50, found.ttft.p99, found.itl.p50, found.itl.p99)
        text = "".join(f"{value / 1e6:>10.4g}" for value in times)
        lines.append(
            f"{session.name(label):<28}{text}{rate(found.prefill_tokens_per_s):>11}"
            f"{rate(found.decode_tokens_per_s):>10}{size(found.cache_bytes):>11}"
        )
    lines += ["", *_comparison_lines(session), *_endpoint_lines(session)]
    return "\n".join(lines)


def _comparison_lines(session: Session) -> list[str]:
    lines = []
    for key, (name, _) in METRICS.items():
        for c in comparisons(session, key):
            names = f"{session.name(c.candidate)} against {session.name(c.baseline)}"
            bounds = "" if c.estimate.known else " no interval yet"
            ratio = f"{interval_text(c.estimate, 'x')}{bounds}"
            lines.append(f"{name}, {names}: {ratio}, {c.verdict.value}")
    return lines


def _endpoint_lines(session: Session) -> list[str]:
    """Of lanes whose requests overlap or fail."""
    lines = []
    for label in session.labels():
        found = generation_stats(session, label)
        if found is None or session.spec(label).options.get("url") is None:
            continue
        lines.append(
            f"{session.name(label)}: {found.generations} of {found.requests} requests, "
            f"{rate(found.requests_per_s)} requests/s, "
            f"{rate(found.throughput_tokens_per_s)} tokens/s, "
            f"end to end p50 {found.end_to_end.p50 / 1e6:.4g} ms, "
            f"p99 {found.end_to_end.p99 / 1e6:.4g} ms"
        )
        lines += [f"  {count} failed: {text}" for text, count in found.errors.items()]
    return lines


def rate(per_second: float) -> str:
    """`12,345`, or three digits of what is small."""
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.3g}"


def size(size_bytes: int) -> str:
    """`12.3 KiB`, `4.5 MiB`; a dash where nothing is known."""
    if not size_bytes:
        return "–"
    if size_bytes < MIB:
        return f"{size_bytes / KIB:.1f} KiB"
    return f"{size_bytes / MIB:.1f} MiB"
