"""What rules read of the machine from a session's environment."""

from __future__ import annotations

import re

from profiler.session import Session


def logical_cpus(session: Session) -> int:
    """Those that lanes may use; 0 where unknown."""
    if session.plan is not None and session.plan.lane_cpus:
        return len(session.plan.lane_cpus)
    return _count(session, "logical")


def physical_cores(session: Session) -> int:
    """Cores that lanes may use, as far as the environment tells; 0 where unknown."""
    physical, logical = _count(session, "physical"), _count(session, "logical")
    usable = logical_cpus(session)
    if not physical or not logical:
        return physical or logical
    return max(1, physical * usable // logical)


def _count(session: Session, kind: str) -> int:
    found = re.search(rf"(\d+) {kind}", session.environment.get("cores", ""))
    return int(found[1]) if found else 0
