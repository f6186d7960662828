"""What stands where operators would be when there are none."""

from __future__ import annotations

from profiler.session import Session
from profiler.untraced import why_untraced

SEE_GENERATION = "See the Generation tab."
SEE_FASTEST = "See the Fastest tab."
SEE_LOG = "See the Log tab."


def nothing_traced(session: Session, unopened: str) -> str:
    """Why there are none, and where to look instead; `unopened` while there is no session."""
    if session.plan is None and session.search.plan is None:
        return unopened
    reason = why_untraced(session)
    if not reason:
        return ""
    if session.plan is None:
        where = SEE_FASTEST
    elif session.plan.generation is not None:
        where = SEE_GENERATION
    else:
        where = SEE_LOG if session.failures else ""
    return f"{reason[0].upper()}{reason[1:]}. {where}".strip()
