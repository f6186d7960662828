"""What colours the graph: a lane's times, or the difference of two lanes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.graph.colour_scale import difference_colour, text_on, time_colour
from profiler.heat import NodeHeat, difference_heat, lane_heat, operator_heat
from profiler.session import Session

NodeColour = tuple[str, str, str]
WIDTH, BAR_HEIGHT, STOPS = 210, 8, 12


@dataclass(frozen=True)
class Colouring:
    """One entry of the graph's colour choice; `signed` for a difference."""

    text: str
    heat: Callable[[], dict[str, NodeHeat]]
    signed: bool = False


def colourings(session: Session) -> list[Colouring]:
    """Each traced lane's time, then each lane's difference from the baseline."""
    found = []
    baseline = session.baseline()
    others = [label for label in session.labels() if label != baseline]
    for label in session.labels():
        if session.traces.get(label):
            found.append(
                Colouring(f"time of {session.name(label)}", partial(_time, session, label))
            )
    for label in others:
        if session.traces.get(label) and session.traces.get(baseline):
            text = f"{session.name(label)} − {session.name(baseline)}"
            found.append(Colouring(text, partial(_difference, session, label), signed=True))
    return found


def node_colours(
    heat: dict[str, NodeHeat], *, signed: bool, dark: bool
) -> tuple[dict[str, NodeColour], float]:
    """Fill, text colour and label of each node by name, and the largest time in ns."""
    largest = max((abs(one.time_ns) for one in heat.values()), default=0.0)
    colour = difference_colour if signed else time_colour
    found = {}
    for name, one in heat.items():
        fill = colour(one.time_ns, largest, dark=dark)
        found[name] = (fill, text_on(fill), _label(one, signed=signed))
    return found, largest


def _time(session: Session, label: str) -> dict[str, NodeHeat]:
    baseline = session.baseline()
    others = [other for other in session.labels() if other not in (label, baseline)]
    partner = baseline if label != baseline else None
    for other in [partner] if partner else [*others, *session.labels()]:
        if other is not None and other != label and (found := session.explanation(other, label)):
            return lane_heat(found, 1)
    figures = session.trace_figures(label)
    return operator_heat(session.operators(label), figures.scale if figures else 1.0)


def _difference(session: Session, label: str) -> dict[str, NodeHeat]:
    found = session.explanation(session.baseline(), label)
    return difference_heat(found) if found else {}


def _label(one: NodeHeat, *, signed: bool) -> str:
    """The time, and for how many nodes it is where these were fused."""
    time = duration(one.time_ns, signed=signed)
    return f"{time} for {one.nodes}" if one.nodes > 1 else time


def duration(time_ns: float, *, signed: bool = False) -> str:
    """In µs or ms, as it reads best."""
    sign = "+" if signed else ""
    if abs(time_ns) >= 1e6:
        return f"{time_ns / 1e6:{sign}.2f} ms"
    return f"{time_ns / 1e3:{sign}.1f} µs"


class Legend(QWidget):
    """The scale of colours with its ends and its middle."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.largest_ns = 0.0
        self.signed = False
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        self.hide()

    def show_scale(self, largest_ns: float, *, signed: bool) -> None:
        """Up to this time; from minus that for a difference."""
        self.largest_ns, self.signed = largest_ns, signed
        self.setVisible(largest_ns > 0)
        self.update()

    def _colour(self, place: float) -> QColor:
        """At a place from 0 to 1 of the scale; it is drawn by the square root, as colours are."""
        dark = theme.is_dark()
        if not self.signed:
            return QColor(time_colour(place**2, 1.0, dark=dark))
        signed = 2 * place - 1
        return QColor(difference_colour(signed * abs(signed), 1.0, dark=dark))

    # Qt overrides

    def sizeHint(self) -> QSize:
        return QSize(WIDTH, 26)

    def paintEvent(self, event: QPaintEvent) -> None:
        del event
        painter = QPainter(self)
        bar = QRect(4, 2, self.width() - 8, BAR_HEIGHT)
        gradient = QLinearGradient(bar.left(), 0, bar.right(), 0)
        for step in range(STOPS + 1):
            gradient.setColorAt(step / STOPS, self._colour(step / STOPS))
        painter.fillRect(bar, gradient)
        painter.setPen(theme.line())
        painter.drawRect(bar)
        font = painter.font()
        font.setPointSizeF(font.pointSizeF() * 0.8)
        painter.setFont(font)
        painter.setPen(theme.soft_text())
        if self.signed:
            texts = (
                duration(-self.largest_ns, signed=True),
                "0",
                duration(self.largest_ns, signed=True),
            )
        else:
            texts = ("0", duration(self.largest_ns / 4), duration(self.largest_ns))
        below = QRect(bar.left(), bar.bottom() + 1, bar.width(), 14)
        sides = (
            Qt.AlignmentFlag.AlignLeft,
            Qt.AlignmentFlag.AlignHCenter,
            Qt.AlignmentFlag.AlignRight,
        )
        for text, side in zip(texts, sides, strict=True):
            painter.drawText(below, side, text)
