"""What costs time, in a sentence with evidence and a remedy: one function a rule.

A rule is a function in a module of this folder, under `@rule`; nothing else makes it known.
"""

from __future__ import annotations

import importlib
import pkgutil

from profiler.insights.base import RULES, Insight
from profiler.session import Session

__all__ = ["Insight", "find_insights"]


def find_insights(session: Session) -> list[Insight]:
    """What the rules find, most costly first."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    found = [insight for _, find in sorted(RULES.items()) for insight in find(session)]
    return sorted(found, key=lambda insight: -insight.share)
