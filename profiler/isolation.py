"""Takes the network away from a child process: what a model file carries can't call home.

Linux only, and only where the system allows it: a network namespace of its own (as root, or with a
user namespace), else a Landlock rule against TCP. Elsewhere the caller is told why not.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
# include/uapi/linux/landlock.h; the numbers are the same on every architecture.
CREATE_RULESET, RESTRICT_SELF = 444, 446
NET_BIND_TCP, NET_CONNECT_TCP = 1, 2
PR_SET_NO_NEW_PRIVS = 38


def cut_network() -> str:
    """Leave the network for good. Returns how, or why not, in words.

    Must be called while the process has one thread: a user namespace can't be entered later.
    """
    if not sys.platform.startswith("linux"):
        return f"the network can't be taken from a process on {sys.platform}"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) == 0:
        return "no network (a namespace of its own)"
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0:
        _keep_identity(user, group)
        return "no network (user and network namespaces of its own)"
    reason = os.strerror(ctypes.get_errno())
    if _deny_tcp(libc):
        return "no TCP (Landlock)"
    return f"the network could not be taken from this process: {reason}"


def _keep_identity(user: int, group: int) -> None:
    """Else the process takes itself, and its files, for those of nobody; it works all the same."""
    with contextlib.suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")


def _deny_tcp(libc: ctypes.CDLL) -> bool:
    """Handle TCP's rights and grant none. Since Linux 6.7, for any user."""
    attributes = struct.pack("<QQ", 0, NET_BIND_TCP | NET_CONNECT_TCP)
    ruleset = libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    try:
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            return False
        return bool(libc.syscall(RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)
