"""Why a session has no operator times: what stands where they would be. A pure function."""

from __future__ import annotations

from profiler.session import Session


def why_untraced(session: Session) -> str:
    """In a few words; "" where a lane was traced."""
    if any(session.traces.values()):
        return ""
    if session.plan is None:
        searching = session.search.plan is not None
        return "configurations that race are not traced" if searching else "nothing was measured"
    if session.plan.generation is not None:
        return "generations are timed token by token, not traced"
    if session.finished is None:
        return "nothing was traced so far"
    if all(label in session.failures for label in session.labels()):
        return "every lane failed"
    return "the run ended before anything was traced"
