"""Rules on what a lane's own operators do."""

from __future__ import annotations

from collections.abc import Iterator

from profiler.insights.base import Insight, of_kinds, rule, share_of
from profiler.op_kinds import GLUE, kind_of
from profiler.session import Session
from profiler.types import OperatorRow
from profiler.work import FOR_EACH_OUTPUT, parse_shapes

# Shares of a lane's operator time from which on a rule speaks.
MOVES_FROM, COPIES_FROM, WIDE_FROM, FALLBACK_FROM = 0.15, 0.10, 0.05, 0.02
OVERHEAD_FROM = 0.4
MOVES = frozenset({"view", "transpose", "cast", "expand", "layout"})
COPIES = frozenset({"copy", "memcpy"})
# As ONNX Runtime and PyTorch spell them.
WIDE_TYPES = frozenset({"double", "int64", "uint64", "long", "long int"})
HEAVY = frozenset({"matmul", "conv", "conv_transpose", "attention", "layer_norm", "softmax"})
LARGE_ELEMENTS = 4096


@rule
def moves_and_casts(session: Session) -> Iterator[Insight]:
    """Reshape, Transpose and Cast take a large part."""
    for label in session.labels():
        rows = session.operators(label)
        share = share_of(rows, of_kinds(MOVES))
        if share >= MOVES_FROM and _believable(session, label):
            count = sum(row.calls for row in rows if of_kinds(MOVES)(row))
            yield Insight(
                rule="moves_and_casts",
                label=label,
                sentence=f"{session.name(label)} spends {share:.0%} of its operator time on "
                "reshapes, transposes and casts",
                evidence=f"{count} such operators: {_largest(rows, MOVES)}",
                remedy="Keep one layout and one dtype through the model; export with constant "
                "shapes where they are known.",
                share=share,
            )


@rule
def data_copies(session: Session) -> Iterator[Insight]:
    """Copies take a large part."""
    for label in session.labels():
        rows = session.operators(label)
        share = share_of(rows, of_kinds(COPIES))
        if share >= COPIES_FROM and _believable(session, label):
            yield Insight(
                rule="data_copies",
                label=label,
                sentence=f"{session.name(label)} spends {share:.0%} of its operator time on "
                "copying data",
                evidence=_largest(rows, COPIES),
                remedy="Bind inputs and outputs on the device; avoid calls that force contiguous "
                "memory.",
                share=share,
            )


@rule
def wide_types(session: Session) -> Iterator[Insight]:
    """Arithmetic in float64 or int64."""

    for label in session.labels():
        rows = session.operators(label)
        share = share_of(rows, _wide)
        if share >= WIDE_FROM:
            names = ", ".join(f"{row.name} ({row.op_type})" for row in rows if _wide(row))
            yield Insight(
                rule="wide_types",
                label=label,
                sentence=f"{session.name(label)} spends {share:.0%} of its operator time on "
                "arithmetic in 64-bit numbers",
                evidence=names[:300],
                remedy="Compute in float32; keep int64 for indices and shapes.",
                share=share,
            )


@rule
def fallback_to_cpu(session: Session) -> Iterator[Insight]:
    """Nodes that the chosen execution provider doesn't take."""
    for label in session.labels():
        rows = session.operators(label)
        providers = {row.provider for row in rows if row.provider}
        if len(providers) < 2 or "CPUExecutionProvider" not in providers:
            continue
        share = share_of(rows, lambda row: row.provider == "CPUExecutionProvider")
        share += share_of(rows, of_kinds(frozenset({"memcpy"})))
        if share >= FALLBACK_FROM:
            fallen = [row for row in rows if row.provider == "CPUExecutionProvider"]
            copies = sum(row.calls for row in rows if kind_of(row.op_type) == "memcpy")
            yield Insight(
                rule="fallback_to_cpu",
                label=label,
                sentence=f"{session.name(label)} runs {len(fallen)} operators on the CPU in place "
                "of its execution provider",
                evidence=f"{copies} copies around them; "
                + ", ".join(f"{row.name} ({row.op_type})" for row in fallen[:5]),
                remedy="Replace these operators by ones that the provider has, or another opset.",
                share=share,
            )


@rule
def engine_overhead(session: Session) -> Iterator[Insight]:
    """Most of the time lies between operators."""
    for label in session.labels():
        figures, rows = session.trace_figures(label), session.operators(label)
        if figures is None or not figures.timed_ns or session.spec(label).device != "cpu":
            # On a GPU an operator's time is that of its launches.
            continue
        # Tracing makes gaps longer: only what no longer trace could explain counts. Timed calls
        # may be slower for other reasons: callers side by side, a busy machine.
        share = min(1 - figures.operators_ns / figures.timed_ns, 1 - figures.coverage)
        if share >= OVERHEAD_FROM:
            yield Insight(
                rule="engine_overhead",
                label=label,
                sentence=f"{session.name(label)} spends at least {share:.0%} of its time outside "
                "of operators",
                evidence=f"{len(rows)} operators take {figures.operators_ns / 1e6:.3g} ms even "
                f"when traced, the whole call {figures.timed_ns / 1e6:.3g} ms",
                remedy="Use a larger batch, or an engine that has less to do for each operator "
                "(ONNX Runtime, torch.compile).",
                share=share,
            )


def _wide(row: OperatorRow) -> bool:
    """Arithmetic on 64-bit tensors; of the cheap kinds only where they are large."""
    operands = parse_shapes(row.shapes).inputs
    kind = kind_of(row.op_type)
    if not operands or operands[0].dtype not in WIDE_TYPES or kind in GLUE:
        return False
    large = max(tensor.elements for tensor in operands) >= LARGE_ELEMENTS
    return kind in HEAVY or (large and kind in FOR_EACH_OUTPUT)


def _believable(session: Session, label: str) -> bool:
    figures = session.trace_figures(label)
    return figures is not None and figures.believable


def _largest(rows: list[OperatorRow], kinds: frozenset[str]) -> str:
    found = [row for row in rows if kind_of(row.op_type) in kinds & GLUE][:3]
    return ", ".join(f"{row.name} ({row.op_type}) {row.share:.0%}" for row in found)
