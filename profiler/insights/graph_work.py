"""Rules on nodes of the model's own graph that an engine runs in vain."""

from __future__ import annotations

from collections.abc import Iterator, Set

from profiler.insights.base import Insight, rule, share_of
from profiler.session import Session
from profiler.types import ModelGraph, OperatorRow

# Shares of a lane's operator time from which on a rule speaks.
UNUSED_FROM, CONSTANT_FROM = 0.01, 0.02
# Other values in each call, without any input.
RANDOM = ("Random", "Bernoulli", "Multinomial")


@rule
def unused_results(session: Session) -> Iterator[Insight]:
    """Operators run whose results neither a later node nor the model's outputs need."""
    for label in session.labels():
        described = session.graphs.get(label)
        if described is None or not described.graph.outputs:
            continue
        needed = needed_nodes(described.graph)
        rows, share = _only_of(
            session.operators(label), {n.name for n in described.graph.nodes} - needed
        )
        if share >= UNUSED_FROM:
            yield Insight(
                rule="unused_results",
                label=label,
                sentence=f"{session.name(label)} spends {share:.0%} of its operator time on "
                "results that are never used",
                evidence=_named(rows),
                remedy="Remove these nodes before the export, or let the engine: graph "
                "optimization level all.",
                share=share,
            )


@rule
def constant_work(session: Session) -> Iterator[Insight]:
    """Operators run in each call though no input of the model reaches them."""
    for label in session.labels():
        described = session.graphs.get(label)
        if described is None or session.plan is None or not session.plan.inputs:
            continue
        if not described.graph.outputs:
            # What the compiler noted of a module: it doesn't tell which nodes take inputs.
            continue
        constant = constant_nodes(described.graph, {spec.name for spec in session.plan.inputs})
        rows, share = _only_of(session.operators(label), constant)
        if share >= CONSTANT_FROM:
            yield Insight(
                rule="constant_work",
                label=label,
                sentence=f"{session.name(label)} spends {share:.0%} of its operator time on values "
                "that are the same in each call",
                evidence=_named(rows),
                remedy="Fold them once: graph optimization level all, or constant folding in the "
                "export.",
                share=share,
            )


def needed_nodes(graph: ModelGraph) -> set[str]:
    """Names of the nodes that some output of the model depends on."""
    producer = {value: node for node in graph.nodes for value in node.outputs}
    waiting = [producer[value].name for value in graph.outputs if value in producer]
    by_name = {node.name: node for node in graph.nodes}
    needed: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [producer[v].name for v in by_name[name].inputs if v in producer]
    return needed


def constant_nodes(graph: ModelGraph, inputs: Set[str]) -> set[str]:
    """Names of the nodes whose values depend on no input; nodes come in order, as ONNX has them."""
    moving = set(inputs)
    constant: set[str] = set()
    for node in graph.nodes:
        if node.op_type.startswith(RANDOM) or any(value in moving for value in node.inputs):
            moving.update(node.outputs)
        else:
            constant.add(node.name)
    return constant


def _only_of(rows: list[OperatorRow], nodes: Set[str]) -> tuple[list[OperatorRow], float]:
    """Operators that stand for these nodes alone, and their share of the lane's operator time."""

    def wanted(row: OperatorRow) -> bool:
        return bool(row.source_nodes) and set(row.source_nodes) <= nodes

    return [row for row in rows if wanted(row)], share_of(rows, wanted)


def _named(rows: list[OperatorRow]) -> str:
    shown = ", ".join(f"{row.name} ({row.op_type}) {row.share:.0%}" for row in rows[:4])
    return f"{len(rows)} operator{'s' if len(rows) != 1 else ''}: {shown}"
