"""The real pointer of the X server, moved through the XTEST extension."""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import Self


class Pointer:
    """Context manager. Coordinates are pixels of the screen."""

    def __init__(self) -> None:
        self._x11 = ctypes.CDLL(ctypes.util.find_library("X11") or "libX11.so.6")
        self._xtst = ctypes.CDLL(ctypes.util.find_library("Xtst") or "libXtst.so.6")
        self._x11.XOpenDisplay.restype = ctypes.c_void_p
        for function in (self._x11.XFlush, self._x11.XCloseDisplay):
            function.argtypes = [ctypes.c_void_p]
        ulong = ctypes.c_ulong
        self._xtst.XTestFakeMotionEvent.argtypes = [ctypes.c_void_p, *[ctypes.c_int] * 3, ulong]
        self._xtst.XTestFakeButtonEvent.argtypes = [
            ctypes.c_void_p,
            ctypes.c_uint,
            ctypes.c_int,
            ulong,
        ]

    def __enter__(self) -> Self:
        self._display = self._x11.XOpenDisplay(None)
        assert self._display, "no X server"
        return self

    def __exit__(self, *_: object) -> None:
        self._x11.XCloseDisplay(self._display)

    def move(self, x: int, y: int) -> None:
        """To a point of the screen."""
        self._xtst.XTestFakeMotionEvent(self._display, -1, x, y, 0)
        self._x11.XFlush(self._display)

    def press(self) -> None:
        """The left button, down."""
        self._button(down=True)

    def release(self) -> None:
        """The left button, up."""
        self._button(down=False)

    def _button(self, *, down: bool) -> None:
        self._xtst.XTestFakeButtonEvent(self._display, 1, int(down), 0)
        self._x11.XFlush(self._display)
