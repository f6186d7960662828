"""Whether the C library keeps freed memory for the next call, or gives it back to the system.

glibc gives back what lies at the end of its heap, and each large block, and takes it again at the
next call; the kernel clears every page of it, one page fault each. See docs/measurement.md.
"""

from __future__ import annotations

import ctypes
import platform

from profiler.errors import EngineError

# Parameters of glibc's mallopt (malloc.h), and the environment variables of the same effect.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
LARGE, PAD = 1 << 30, 64 << 20
SETTINGS = ((TRIM_THRESHOLD, LARGE), (TOP_PAD, PAD), (MMAP_THRESHOLD, LARGE))
VARIABLES = f"MALLOC_TRIM_THRESHOLD_={LARGE} MALLOC_MMAP_THRESHOLD_={LARGE} MALLOC_TOP_PAD_={PAD}"


def can_keep() -> bool:
    """Whether this system's C library has these settings: glibc, which most Linux systems have."""
    return platform.libc_ver()[0] == "glibc"


def keep_freed_memory() -> None:
    """From now on, in this process. Raises EngineError where the C library refuses."""
    mallopt = ctypes.CDLL(None).mallopt
    for parameter, value in SETTINGS:
        if not mallopt(parameter, value):
            raise EngineError(
                "The C library refused to keep freed memory.",
                f"Leave keep_memory out and start with {VARIABLES} in the environment.",
            )
