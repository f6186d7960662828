"""How much stands between the person's file and a lane: conversion, compiling, options."""

from __future__ import annotations

from profiler.lanes import forms
from profiler.session import Session
from profiler.types import EngineKind, EngineSpec, ModelKind

# Where a form of a model runs: the fewer things it needs there, the lower.
PORTABLE = {
    EngineKind.ORT: (0, "an ONNX file runs with ONNX Runtime on any system, without Python"),
    EngineKind.TORCH_SCRIPT: (
        1,
        "a TorchScript file needs PyTorch or libtorch, not the model's code",
    ),
    EngineKind.TORCH_EXPORT: (2, "a .pt2 file needs PyTorch, not the model's code"),
    EngineKind.TORCH_EAGER: (3, "eager PyTorch needs Python, PyTorch and the model's code"),
    EngineKind.TORCH_COMPILE: (4, "torch.compile needs PyTorch and a compiler, at every start"),
}


def converted(session: Session, label: str) -> bool:
    """Whether the lane runs another form of the model than its file: exported, or imported."""
    return bool(conversion_words(session, label))


def conversion_words(session: Session, label: str) -> str:
    """What is done to the file before the lane runs it; "" where it is taken as it is."""
    spec, plan = session.spec(label), session.plan
    if plan is None:
        return ""
    model = spec.model or plan.model
    steps = [f"a conversion to {form}" for form in forms(spec, model)]
    if spec.engine is not EngineKind.ORT and model.kind is ModelKind.ONNX:
        steps.append("the ONNX file imported into PyTorch")
    if spec.engine is not EngineKind.ORT and "precision" in spec.options:
        steps.append(f"a conversion to {spec.options['precision']}")
    return f"needs {' and '.join(steps)}" if steps else ""


def complexity(session: Session, label: str) -> tuple[bool, bool, int, int]:
    """Sorts lanes from the simplest: no conversion, no compiling, few options, the plan's order."""
    spec = session.spec(label)
    return (
        converted(session, label),
        spec.engine is EngineKind.TORCH_COMPILE,
        len(spec.options) + (spec.model is not None),
        session.labels().index(label),
    )


def simpler_words(session: Session, label: str, other: str) -> str:
    """Why the first is simpler than the other, to follow "it"; "" where it isn't."""
    one, two = complexity(session, label), complexity(session, other)
    if one[0] < two[0]:
        return "needs no conversion"
    if one[:2] < two[:2]:
        return "needs no compiling at its start"
    return "has fewer options to keep" if one[:3] < two[:3] else ""


def portability(session: Session, label: str) -> tuple[int, str]:
    """Rank, the lower the more portable, and why."""
    spec = session.spec(label)
    rank, words = PORTABLE[spec.engine]
    provider = str(spec.options.get("execution_provider", "CPUExecutionProvider"))
    if spec.engine is EngineKind.ORT and provider != "CPUExecutionProvider":
        return rank + 1, f"{words}, but {provider} has to be there"
    return rank, words


def configuration(spec: EngineSpec) -> str:
    """In the spelling of `--lane`: `ort,intra_op_threads=2`."""
    parts = [spec.engine.value]
    parts += [f"device={spec.device}"] if spec.device != "cpu" else []
    parts += [
        f"{key}={str(value).lower() if isinstance(value, bool) else value}"
        for key, value in spec.options.items()
    ]
    parts += [f"model={spec.model.path}"] if spec.model else []
    return ",".join(parts)
