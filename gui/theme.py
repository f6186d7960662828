"""Colours: light and dark, and one colour a lane that is told apart with any colour vision."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

SCHEMES = {
    "system": Qt.ColorScheme.Unknown,
    "light": Qt.ColorScheme.Light,
    "dark": Qt.ColorScheme.Dark,
}
# Okabe and Ito (2008); the darker ones first on white, the lighter ones on black.
LANES_LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
LANES_DARK = ("#56B4E9", "#E69F00", "#2BC49A", "#CC79A7", "#F0E442", "#D55E00")
GOOD, BAD, OPEN = "#009E73", "#D55E00", "#E69F00"

# Fusion outlines these with a darker shade of "Window", which a dark window swallows.
OUTLINED = ("QCheckBox", "QLineEdit", "QAbstractSpinBox")
DARK_OUTLINE = "#8a929a"

# Where the desktop can't be asked to change its scheme the palette is set here: by role, for the
# enabled and, after a slash, the disabled state.
PALETTES = {
    "light": {
        "Window": "#f3f4f6",
        "Base": "#ffffff",
        "AlternateBase": "#f7f8f9",
        "Button": "#f3f4f6",
        "WindowText": "#1c2126/#9aa1a8",
        "Text": "#1c2126/#9aa1a8",
        "ButtonText": "#1c2126/#9aa1a8",
        "ToolTipBase": "#ffffff",
        "ToolTipText": "#1c2126",
        "PlaceholderText": "#858d95",
        "Highlight": "#0072b2",
        "HighlightedText": "#ffffff",
        "Link": "#0072b2",
    },
    "dark": {
        "Window": "#26292d",
        "Base": "#1f2225",
        "AlternateBase": "#23262a",
        "Button": "#33373c",
        "WindowText": "#e4e7ea/#70777e",
        "Text": "#e4e7ea/#70777e",
        "ButtonText": "#e4e7ea/#70777e",
        "ToolTipBase": "#33373c",
        "ToolTipText": "#e4e7ea",
        "PlaceholderText": "#80878e",
        "Highlight": "#2b7fb8",
        "HighlightedText": "#ffffff",
        "Link": "#56b4e9",
    },
}


def apply(name: str) -> None:
    """Follow the system, or be light or dark."""
    hints = QGuiApplication.styleHints()
    hints.setColorScheme(SCHEMES.get(name, Qt.ColorScheme.Unknown))
    dark = name == "dark" or (name == "system" and hints.colorScheme() is Qt.ColorScheme.Dark)
    palette = _palette("dark" if dark else "light")
    QApplication.setPalette(palette)
    if dark:
        palette.setColor(QPalette.ColorRole.Window, QColor(DARK_OUTLINE))
    for widget in OUTLINED:
        # PySide's own hints ask for bytes, which it refuses.
        QApplication.setPalette(palette, widget)  # type: ignore[arg-type]


def _palette(name: str) -> QPalette:
    base = QColor(PALETTES[name]["Button"])
    palette = QPalette(base, QColor(PALETTES[name]["Window"]))
    for role, text in PALETTES[name].items():
        enabled, _, disabled = text.partition("/")
        found = QPalette.ColorRole[role]
        palette.setColor(QPalette.ColorGroup.All, found, QColor(enabled))
        if disabled:
            palette.setColor(QPalette.ColorGroup.Disabled, found, QColor(disabled))
    return palette


def is_dark() -> bool:
    """Whether the window is dark now."""
    window = QApplication.palette().color(QPalette.ColorRole.Window)
    return window.lightness() < 128


def lane_colour(index: int) -> QColor:
    """Of the lane with this place in the plan."""
    colours = LANES_DARK if is_dark() else LANES_LIGHT
    return QColor(colours[index % len(colours)])


def soft_text() -> QColor:
    """For what is said beside: captions, units, hints."""
    return QColor("#9aa4ae" if is_dark() else "#5c6670")


def line() -> QColor:
    """For borders and grids."""
    return QColor("#3a4046" if is_dark() else "#d9dee3")


def base() -> QColor:
    """The ground of plots and cards."""
    return QColor("#1f2225" if is_dark() else "#ffffff")


def style_plot(plot: pg.PlotItem) -> None:
    """Give a plot the window's colours."""
    for name in ("left", "bottom"):
        axis = plot.getAxis(name)
        axis.setPen(line())
        axis.setTextPen(soft_text())


def style_sheet() -> str:
    """What the palette can't say."""
    border, soft, ground = line().name(), soft_text().name(), base().name()
    return f"""
    QToolBar {{ border: 0; border-bottom: 1px solid {border}; padding: 4px 6px; spacing: 4px; }}
    QStatusBar {{ border-top: 1px solid {border}; }}
    QStatusBar::item {{ border: 0; }}
    QLabel[role="caption"] {{ color: {soft}; }}
    QLabel[role="heading"] {{ font-weight: 600; }}
    QLabel[role="problem"] {{ color: {BAD}; }}
    QLabel[role="figure"] {{ font-size: 17px; font-weight: 600; }}
    QFrame[role="card"] {{ background: {ground}; border: 1px solid {border}; border-radius: 6px; }}
    QTabWidget::pane {{ border: 0; border-top: 1px solid {border}; }}
    QTableView, QTreeView, QTextBrowser, QPlainTextEdit {{ border: 0; background: {ground}; }}
    QHeaderView::section {{
        background: {ground}; color: {soft}; border: 0; border-bottom: 1px solid {border};
        padding: 4px 6px;
    }}
    QSplitter::handle {{ background: {border}; }}
    QSplitter::handle:horizontal {{ width: 1px; }}
    QSplitter::handle:vertical {{ height: 1px; }}
    """


def change_colour(difference: float) -> QColor:
    """Of time that a candidate takes more (positive) or less: no colour of the first two lanes."""
    light, dark = ("#B0568A", "#CC79A7") if difference > 0 else ("#009E73", "#2BC49A")
    return QColor(dark if is_dark() else light)
