"""One function per ONNX operator, found by its decorator."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any

Handler = Callable[..., Any]
_HANDLERS: dict[str, Handler] = {}


def op(*names: str, domain: str = "") -> Callable[[Handler], Handler]:
    """Register `handler(context, *inputs)`; an input that is left out arrives as None.

    A handler returns one value, or a tuple with one for each output.
    """

    def register(handler: Handler) -> Handler:
        for name in names:
            _HANDLERS[qualified(domain, name)] = handler
        return handler

    return register


def qualified(domain: str, op_type: str) -> str:
    """ "Conv", or "com.microsoft::FusedMatMul"."""
    return op_type if domain in ("", "ai.onnx") else f"{domain}::{op_type}"


def handlers() -> dict[str, Handler]:
    """All handlers by qualified name."""
    _load_all()
    return _HANDLERS


def supported_ops() -> tuple[str, ...]:
    """Qualified names, sorted."""
    return tuple(sorted(handlers()))


@cache
def _load_all() -> None:
    from profiler.onnx_torch import ops

    for found in pkgutil.iter_modules(ops.__path__):
        importlib.import_module(f"{ops.__name__}.{found.name}")
