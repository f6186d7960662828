"""What colours the graph: a lane's times or memory, or the difference of two lanes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.graph.colour_scale import difference_colour, text_on, time_colour
from profiler.heat import NodeHeat, difference_heat, lane_heat, memory_heat, operator_heat
from profiler.session import Session

NodeColour = tuple[str, str, str]
WIDTH, BAR_HEIGHT, STOPS = 210, 8, 12


def duration(time_ns: float, *, signed: bool = False) -> str:
    """In µs or ms, as it reads best."""
    sign = "+" if signed else ""
    if abs(time_ns) >= 1e6:
        return f"{time_ns / 1e6:{sign}.2f} ms"
    return f"{time_ns / 1e3:{sign}.1f} µs"


def size(size_bytes: float, *, signed: bool = False) -> str:
    """In B, KiB, MiB or GiB."""
    sign = "+" if signed else ""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if abs(size_bytes) >= unit:
            return f"{size_bytes / unit:{sign}.1f} {name}"
    return f"{size_bytes:{sign}.0f} B"


@dataclass(frozen=True)
class Colouring:
    """One entry of the graph's colour choice; `signed` for a difference, `written` for amounts.

    `lanes` are those whose operator times it shows; none where it shows no times.
    """

    text: str
    heat: Callable[[], dict[str, NodeHeat]]
    lanes: tuple[str, ...] = ()
    signed: bool = False
    written: Callable[..., str] = duration


def colourings(session: Session) -> list[Colouring]:
    """Each traced lane's time, each lane's difference from the baseline, each lane's memory."""
    found = []
    baseline = session.baseline()
    others = [label for label in session.labels() if label != baseline]
    for label in session.labels():
        if session.traces.get(label):
            text = f"time of {session.name(label)}"
            found.append(Colouring(text, partial(_time, session, label), (label,)))
    for label in others:
        if session.traces.get(label) and session.traces.get(baseline):
            text = f"{session.name(label)} − {session.name(baseline)}"
            difference = partial(_difference, session, label)
            found.append(Colouring(text, difference, (baseline, label), signed=True))
    for label in session.labels():
        if any(row.output_bytes for row in session.operators(label)):
            text = f"memory of outputs, {session.name(label)}"
            found.append(Colouring(text, partial(_memory, session, label), written=size))
    return found


def node_colours(
    heat: dict[str, NodeHeat], *, signed: bool, dark: bool, written: Callable[..., str] = duration
) -> tuple[dict[str, NodeColour], float]:
    """Fill, text colour and label of each node by name, and the largest amount."""
    largest = max((abs(one.amount) for one in heat.values()), default=0.0)
    colour = difference_colour if signed else time_colour
    found = {}
    for name, one in heat.items():
        fill = colour(one.amount, largest, dark=dark)
        label = written(one.amount, signed=signed)
        # For how many nodes it is where these were fused.
        label = f"{label} for {one.nodes}" if one.nodes > 1 else label
        found[name] = (fill, text_on(fill), label)
    return found, largest


def _time(session: Session, label: str) -> dict[str, NodeHeat]:
    baseline = session.baseline()
    others = [other for other in session.labels() if other not in (label, baseline)]
    partner = baseline if label != baseline else None
    for other in [partner] if partner else [*others, *session.labels()]:
        if other is not None and other != label and (found := session.explanation(other, label)):
            return lane_heat(found, 1, session.inner_operators(label))
    figures = session.trace_figures(label)
    rows = [*session.operators(label), *session.inner_operators(label)]
    return operator_heat(rows, figures.scale if figures else 1.0)


def _memory(session: Session, label: str) -> dict[str, NodeHeat]:
    return memory_heat([*session.operators(label), *session.inner_operators(label)])


def _difference(session: Session, label: str) -> dict[str, NodeHeat]:
    found = session.explanation(session.baseline(), label)
    return difference_heat(found) if found else {}


class Legend(QWidget):
    """The scale of colours with its ends and its middle."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.largest = 0.0
        self.signed = False
        self._written: Callable[..., str] = duration
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        self.hide()

    def show_scale(
        self, largest: float, *, signed: bool, written: Callable[..., str] = duration
    ) -> None:
        """Up to this time or size; from minus that for a difference."""
        self.largest, self.signed, self._written = largest, signed, written
        self.setVisible(largest > 0)
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
                self._written(-self.largest, signed=True),
                "0",
                self._written(self.largest, signed=True),
            )
        else:
            texts = ("0", self._written(self.largest / 4), self._written(self.largest))
        below = QRect(bar.left(), bar.bottom() + 1, bar.width(), 14)
        sides = (
            Qt.AlignmentFlag.AlignLeft,
            Qt.AlignmentFlag.AlignHCenter,
            Qt.AlignmentFlag.AlignRight,
        )
        for text, side in zip(texts, sides, strict=True):
            painter.drawText(below, side, text)
