"""What to mind beside a recommendation, and what a session doesn't tell: pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from profiler.byte_sums import overflowing
from profiler.lane_form import converted
from profiler.lanes import callers
from profiler.measured import batch_size, energy, p99, peak_memory
from profiler.model_type import ModelType, TypeFound
from profiler.noise import busiest
from profiler.session import Session
from profiler.types import EngineKind, Fill, Goal, GraphNode, OutputsCompared

MIB = 2**20
# A recommended lane that takes so many times another's memory is worth a word.
MUCH_MEMORY = 1.25
LONG_COMPILE_NS = 1_000_000_000
FIXED = re.compile(r"Fixed by the conversion: ([^.]+)\.")


def refused(session: Session) -> dict[str, str]:
    """Lanes whose outputs are past tolerance, and why.

    Of two, the one whose sums may overflow on this CPU; else the converted one, where the other
    runs the file as it is; else the candidate.
    """
    found = {}
    for compared in session.outputs:
        if compared.agree or compared.baseline not in session.labels():
            continue
        one, other = compared.baseline, compared.candidate
        overflow = _only(one, other, lambda label: bool(overflowing(session, label)))
        wrong = overflow or _only(one, other, lambda label: converted(session, label)) or other
        right = one if wrong == other else other
        cause = (
            ", and this CPU has no dot product of bytes (VNNI), without which sums of quantized "
            "products may overflow"
        )
        found[wrong] = (
            f"{session.name(wrong)} isn't recommended: its outputs differ from "
            f"{session.name(right)}'s past tolerance ({_distance(compared)})"
            f"{cause if overflow else ''}. Where that is close enough for you, set a wider "
            "tolerance"
        )
    return found


def _only(one: str, other: str, holds: Callable[[str], bool]) -> str:
    """The one of two lanes of which alone it holds, "" for none."""
    first, second = holds(one), holds(other)
    return "" if first == second else one if first else other


def _distance(compared: OutputsCompared) -> str:
    if not compared.differences:
        return "no output to compare"
    worst = max(compared.differences, key=lambda d: (not d.within_tolerance, d.max_abs))
    broken = f", {worst.nan_count} NaN" if worst.nan_count else ""
    return (
        f"{worst.name}: largest difference {worst.max_abs:.3g}, cosine {worst.cosine:.6f}{broken}"
    )


def output_words(session: Session, label: str) -> str:
    """How far the lane's outputs are from those of the lanes that it was compared with."""
    parts = []
    for compared in session.outputs:
        if label in (compared.baseline, compared.candidate):
            other = compared.candidate if label == compared.baseline else compared.baseline
            verdict = "within tolerance" if compared.agree else "PAST TOLERANCE"
            parts.append(f"against {session.name(other)} {verdict} ({_distance(compared)})")
    return f"Outputs {'; '.join(parts)}" if parts else "Outputs were not compared"


def cautions(session: Session, label: str, goal: Goal, found: TypeFound) -> Iterator[str]:
    """The weightiest first; `label` is the recommended lane, or ""."""
    if session.mostly_disturbed():
        who = busiest(session.foreign)
        yield (
            f"The machine was busy{f' with {who}' if who else ''} in most rounds: this holds under "
            "that load only"
        )
    for failed, failure in session.failures.items():
        yield f"{session.name(failed)} failed, so that nothing is known of it: {failure.message}"
    yield from refused(session).values()
    if session.finished is None:
        yield "The run did not end: these are its figures so far"
    if len(set(session.launches.values())) == 1:
        yield "All rounds are of one launch; the next process may be some percent faster or slower"
    if found.type is ModelType.AUTOREGRESSIVE:
        yield "One call of the model was measured, not the decoding of a text token by token"
    if label:
        yield from _of_lane(session, label, goal)


def _of_lane(session: Session, label: str, goal: Goal) -> Iterator[str]:
    name, ready = session.name(label), session.ready.get(label)
    if ready is not None and ready.compile_time_ns >= LONG_COMPILE_NS:
        yield f"{name} compiles for {ready.compile_time_ns / 1e9:.3g} s at every start"
    for conversion in session.converted:
        fixed = [m[1] for note in conversion.notes if (m := FIXED.search(note))]
        if label in conversion.labels and fixed:
            yield f"The converted file takes these sizes only: {'; '.join(fixed)}"
    own = [op for graph in session.graphs.values() for op in _own_operators(graph.graph.nodes)]
    if goal is Goal.PORTABILITY and own and session.spec(label).engine is EngineKind.ORT:
        yield f"The file has operators outside of the ONNX standard: {', '.join(sorted(set(own)))}"
    others = [o for o in session.labels() if o != label and session.latency_stats(o)]
    for other in others:
        mine, theirs = peak_memory(session, label), peak_memory(session, other)
        alike = (session.spec(label).device == "cpu") == (session.spec(other).device == "cpu")
        known = goal is not Goal.MEMORY and alike
        if known and mine and theirs and mine.low > MUCH_MEMORY * theirs.high:
            yield (
                f"{name} takes more memory than {session.name(other)}: "
                f"{mine.value / MIB:.0f} MiB against {theirs.value / MIB:.0f} MiB at the peak"
            )
        tails = p99(session, label), p99(session, other)
        if goal is not Goal.P99 and tails[0] and tails[1] and tails[0].low > tails[1].high:
            yield (
                f"Its p99 is surely higher than {session.name(other)}'s: "
                f"{tails[0].value / 1e6:.4g} ms against {tails[1].value / 1e6:.4g} ms"
            )


def _own_operators(nodes: Iterable[GraphNode]) -> Iterator[str]:
    for node in nodes:
        domain, _, _ = node.op_type.rpartition("::")
        if domain and domain not in ("aten", "prim"):
            yield node.op_type


def not_measured(session: Session, goal: Goal, found: TypeFound) -> Iterator[str]:
    """What would have to be measured before this can be said of more than it is."""
    plan = session.plan
    assert plan is not None
    loads = sorted({callers(spec) for spec in plan.engines})
    if goal in (Goal.THROUGHPUT, Goal.COST, Goal.P99) and loads != [1]:
        yield f"Other numbers of callers at once than {', '.join(map(str, loads))}"
    elif goal in (Goal.THROUGHPUT, Goal.COST):
        yield "Several callers at once: throughput is batch size / mean latency of one caller"
    elif goal is Goal.P99:
        yield "p99 under load: calls came one after the other, from one caller"
    if goal is Goal.COST and not any(energy(session, label) for label in session.labels()):
        yield "Energy: no lane ran on a GPU that tells its power"
    if goal is Goal.PORTABILITY:
        yield "Other machines: nothing ran anywhere but here"
    if found.type is ModelType.AUTOREGRESSIVE:
        yield "Prefill and decoding with a key-value cache"
    engines = {spec.engine for spec in plan.engines}
    if EngineKind.ORT not in engines:
        yield "ONNX Runtime"
    if EngineKind.TORCH_COMPILE not in engines:
        yield "torch.compile, PyTorch's own optimizer"
    if not engines & (set(EngineKind) - {EngineKind.ORT}):
        yield "PyTorch"
    if all(spec.device == "cpu" for spec in plan.engines):
        yield "GPUs: every lane ran on the CPU"
    if plan.generation is not None:
        tokens = plan.generation
        yield (
            f"Prompts of another length than {tokens.prompt_tokens} tokens, and more or fewer new "
            f"tokens than {tokens.new_tokens}"
        )
    else:
        shapes = ", ".join(f"{s.name} {list(s.shape)}" for s in plan.inputs[:3])
        yield f"Other batch sizes and shapes than batch {batch_size(plan.inputs)} ({shapes})"
    if all(spec.fill is not Fill.FILE for spec in plan.inputs):
        yield "Accuracy on your data: outputs were compared on generated values"
