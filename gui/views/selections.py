"""What is chosen in one view is chosen in the others, too."""

from __future__ import annotations

from gui.views.graph_panel import GraphPanel
from gui.views.operators_view import OperatorsView
from gui.views.outputs_view import OutputsView
from gui.views.timeline_view import TimelineView
from gui.views.why_view import WhyView


def link_selections(
    graph: GraphPanel,
    operators: OperatorsView,
    why: WhyView,
    timeline: TimelineView,
    outputs: OutputsView,
) -> None:
    """A graph node that a person chooses anywhere is shown wherever it can be.

    Selecting one by program emits no signal, so that nothing goes round in circles.
    """
    shown = (graph, operators, why, timeline)
    for chooser in (*shown, outputs):
        for other in shown:
            if other is not chooser:
                chooser.node_selected.connect(other.select_node)
