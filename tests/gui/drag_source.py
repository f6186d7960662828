"""A program of its own: a window from which a file can be dragged. PATH X Y."""

from __future__ import annotations

import sys

from PySide6.QtCore import QMimeData, Qt, QTimer, QUrl
from PySide6.QtGui import QDrag, QMouseEvent
from PySide6.QtWidgets import QApplication, QLabel


class Source(QLabel):
    """Starts a drag when it is pressed."""

    def __init__(self, path: str) -> None:
        super().__init__("drag me")
        self._path = path

    # Qt overrides

    def mousePressEvent(self, event: QMouseEvent) -> None:
        del event
        drag = QDrag(self)
        content = QMimeData()
        content.setUrls([QUrl.fromLocalFile(self._path)])
        drag.setMimeData(content)
        drag.exec(Qt.DropAction.CopyAction)


def say_ready() -> None:
    """To the test that waits for it."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def main() -> None:
    """Say "ready" once the window is there."""
    application = QApplication(sys.argv[:1])
    source = Source(sys.argv[1])
    source.setGeometry(int(sys.argv[2]), int(sys.argv[3]), 100, 100)
    source.show()
    QTimer.singleShot(500, say_ready)
    application.exec()


if __name__ == "__main__":
    main()
