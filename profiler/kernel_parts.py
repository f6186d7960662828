"""Kernels that do several things side by side, divided into rows of their own: pure functions."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from profiler.alignment import LaneOperators
from profiler.types import OperatorRow


def divided(lane: LaneOperators) -> LaneOperators:
    """A row for each part of a kernel, its time shared out by the bytes that the parts move.

    A kernel whose parts feed one another is one row: there is no telling them apart.
    """
    if not lane.graph.parts:
        return lane
    return LaneOperators([part for row in lane.rows for part in _parts(row, lane)], lane.graph)


def _parts(row: OperatorRow, lane: LaneOperators) -> Iterator[OperatorRow]:
    parts = lane.graph.parts.get(row.name, ())
    if len(parts) < 2:
        yield row
        return
    scopes = {node.name: node.scope for node in lane.graph.nodes}
    for number, part in enumerate(parts, start=1):
        yield msgspec.structs.replace(
            row,
            name=f"{row.name} [{number}/{len(parts)}]",
            traced_ns=row.traced_ns * part.share,
            share=row.share * part.share,
            source_nodes=part.nodes,
            scope=next((scopes[name] for name in reversed(part.nodes) if name in scopes), ""),
            flops=None,
            moved_bytes=None,
            estimated=True,
        )
