"""ResNet-50 and BERT from file to verdict, session and exports, with real engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from profiler.exporters import export, formats
from profiler.inputs import apply_overrides
from profiler.jobs import inspect_model
from profiler.plan import default_plan
from profiler.recorder import record
from profiler.session import Session
from profiler.session_file import read_session
from profiler.types import RoundKind, WarmupRule
from tests import real_models as models


def resnet_onnx(folder: Path) -> Path:
    shapes = models.resnet_shapes()
    return models.as_onnx(models.resnet50(), models.image(64), shapes, folder / "resnet50.onnx")


def small_resnet_torchscript(folder: Path) -> Path:
    return models.as_torchscript(models.small_resnet(), models.image(64), folder / "resnet.pt")


def small_bert_onnx(folder: Path) -> Path:
    shapes = models.bert_shapes()
    return models.as_onnx(models.small_bert(), models.tokens(), shapes, folder / "bert.onnx")


def small_bert_older_onnx(folder: Path) -> Path:
    names, axes = ["input_ids", "attention_mask"], {0: "batch", 1: "sequence"}
    module, path = models.small_bert(), folder / "bert-older.onnx"
    return models.as_older_onnx(module, models.tokens(), names, axes, path)


def small_bert_program(folder: Path) -> Path:
    shapes = models.bert_shapes()
    return models.as_program(models.small_bert(), models.tokens(), shapes, folder / "bert.pt2")


def base_bert_onnx(folder: Path) -> Path:
    shapes, example = models.bert_shapes(), models.tokens(models.BASE_BERT_VOCABULARY)
    return models.as_onnx(models.base_bert(), example, shapes, folder / "bert-base.onnx")


def short_run(path: Path, folder: Path, *overrides: str) -> Session:
    """Record a run of three seconds, and read it back."""
    info = inspect_model(path)
    inputs = apply_overrides(info.inputs, overrides)
    plan = default_plan(info, inputs=inputs, time_limit_s=3.0)
    plan = msgspec.structs.replace(plan, warmup=WarmupRule(time_limit_s=1.0))
    target = folder / "run.dualscope"
    for _ in record(plan, target, cancelled=lambda: False):
        pass
    return read_session(target)


def check(session: Session) -> None:
    """Everything of the main job is there."""
    assert session.failures == {}
    assert session.finished is not None
    assert session.verdict().endswith(".")
    (outputs,) = session.outputs
    assert outputs.agree, outputs.differences
    assert len(session.labels()) == 2
    for label in session.labels():
        timed = [r for r in session.rounds[label] if r.kind is RoundKind.TIMED]
        assert timed
        rows = session.operators(label)
        assert len(rows) > 20
        assert sum(row.share for row in rows) == pytest.approx(1.0)
        trace = session.traces[label][0]
        per_iteration = sum(op.duration_ns for op in trace.ops) / trace.iterations
        assert per_iteration <= 1.05 * max(trace.traced_latencies_ns), "no time is counted twice"
    covered = [row for row in session.operators("ort") if row.source_nodes]
    assert sum(row.share for row in covered) > 0.9


@pytest.mark.parametrize(
    ("build", "overrides"),
    [
        # Height and width are fixed by this export.
        (resnet_onnx, []),
        (small_resnet_torchscript, ["pixel_values=[1,3,64,64]"]),
        (small_bert_onnx, ["input_ids=[1,64]"]),
        (small_bert_older_onnx, []),
        (small_bert_program, []),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
@pytest.mark.timeout(240)
def test_the_main_job(tmp_path: Path, build: Callable[[Path], Path], overrides: list[str]) -> None:
    session = short_run(build(tmp_path), tmp_path, *overrides)
    check(session)
    for name, exporter in formats().items():
        target = tmp_path / f"{name}{exporter.suffix}"
        export(session, name, target)
        # A run that searches nothing and generates no text has headings there, and no rows.
        least = 40 if name in ("csv-search", "csv-tokens") else 200
        assert target.stat().st_size > least


@pytest.mark.timeout(300)
def test_bert_base(tmp_path: Path) -> None:
    session = short_run(base_bert_onnx(tmp_path), tmp_path, "input_ids=[1,32]")
    check(session)
    assert session.ready["ort"].weights_bytes > 400 * 2**20
