"""Writes a picture of a window as a PNG with 256 colours, a third of its size otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PySide6.QtGui import QImage

COLOURS = 256


def save_small(image: QImage, path: Path) -> None:
    """The most frequent colours are kept, each other one becomes the nearest of them."""
    plain = image.convertToFormat(QImage.Format.Format_RGBX8888)
    width, height = plain.width(), plain.height()
    pixels = np.frombuffer(plain.constBits(), dtype=np.uint8).reshape(height, -1, 4)
    colours = pixels[:, :width, :3].reshape(-1, 3).astype(np.int64)
    packed = colours[:, 0] << 16 | colours[:, 1] << 8 | colours[:, 2]
    found, inverse, counts = np.unique(packed, return_inverse=True, return_counts=True)
    table = np.sort(found[np.argsort(-counts)[:COLOURS]])
    parts = [np.stack([v >> 16, v >> 8 & 255, v & 255], axis=1) for v in (found, table)]
    nearest = np.concatenate(
        [
            ((block[:, None, :] - parts[1][None]) ** 2).sum(axis=2).argmin(axis=1)
            for block in np.array_split(parts[0], max(1, len(found) // 2000))
        ]
    )
    indexes = np.zeros((height, -(-width // 4) * 4), dtype=np.uint8)
    indexes[:, :width] = nearest[inverse].reshape(height, width)
    small = QImage(
        indexes.tobytes(), width, height, indexes.shape[1], QImage.Format.Format_Indexed8
    )
    small.setColorTable([0xFF000000 | int(colour) for colour in table])
    # A PNG of quality 0 is the one that is compressed most.
    if not small.save(str(path), quality=0):
        raise OSError(f"{path} can't be written.")
