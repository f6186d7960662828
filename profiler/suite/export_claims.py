"""The claims about the exported file: a one-time cost, and numbers that may differ."""

from __future__ import annotations

from collections.abc import Sequence

from profiler.compare import counted
from profiler.suite.figures import eager_lane, fastest, missing
from profiler.suite.records import ClaimVerdict, Judged, Row, Step
from profiler.types import EngineKind


def conversion(rows: Sequence[Row]) -> Judged:
    """Confirmed when every model has a file that was made once, loaded by every launch, and takes
    other sizes too; refuted when most models have none such.
    """
    models = {row.model: row for row in rows}
    if not models:
        return ClaimVerdict.UNRESOLVED, "Nothing was converted."
    good = [row for row in models.values() if row.conversion_ns and not row.fixed]
    bad = [row for row in models.values() if _failed(row) or row.fixed]
    told = [f"{len(good)} of {counted(len(models), 'model')} converted once, for any batch size"]
    told += [f"{row.title}: fixed at this {row.fixed}" for row in bad if row.fixed]
    told += [f"{row.title}: {missing(row)}" for row in bad if not row.fixed]
    told += [_payback(row, [r for r in rows if r.model == row.model]) for row in good]
    verdict = ClaimVerdict.UNRESOLVED
    if len(good) == len(models):
        verdict = ClaimVerdict.CONFIRMED
    elif len(bad) * 2 > len(models):
        verdict = ClaimVerdict.REFUTED
    return verdict, f"{'; '.join(told)}."


def _failed(row: Row) -> bool:
    """Whether ONNX Runtime has no latency, and the reason is known."""
    lanes = [lane for lane in row.lanes if lane.engine is EngineKind.ORT]
    return bool(lanes) and all(lane.failure and lane.latency_ns is None for lane in lanes)


def _payback(row: Row, of_model: Sequence[Row]) -> str:
    """What the export took, and after how many calls that is saved."""
    name = row.title.removesuffix(f" {row.step}")
    text = (
        f"{name} {row.conversion_ns / 1e9:.0f} s for {counted(row.launches, 'launch', 'launches')}"
    )
    encoder = next((r for r in of_model if r.step is Step.ENCODER), None)
    if encoder is None:
        return text
    lane, eager = fastest(encoder, EngineKind.ORT), eager_lane(encoder)
    if lane is None or eager is None or not lane.mean_ns or not eager.mean_ns:
        return text
    gain_ns = eager.mean_ns - lane.mean_ns
    if gain_ns <= 0:
        return f"{text}, never paid back: it is no faster"
    return f"{text}, paid back after {row.conversion_ns / gain_ns:,.0f} calls"


def numerics(rows: Sequence[Row]) -> Judged:
    """Confirmed when some output of the exported model differs in any bit from PyTorch eager's;
    refuted when every one was compared and none does.
    """
    models = {row.model: row for row in rows}
    differ, told = False, []
    compared = 0
    for row in models.values():
        lanes = [lane for lane in row.lanes if lane.engine is EngineKind.ORT]
        known = [lane for lane in lanes if lane.largest_difference is not None]
        compared += bool(known)
        for lane in known:
            largest = lane.largest_difference or 0.0
            differ |= largest > 0 or lane.outputs_agree is False
            verdict = "within" if lane.outputs_agree else "PAST"
            told.append(
                f"{row.title.removesuffix(f' {row.step}')} {largest:.1e}, {verdict} tolerance"
            )
    if not compared:
        return ClaimVerdict.UNRESOLVED, "No outputs were compared."
    text = f"Largest differences from PyTorch eager: {'; '.join(told)}."
    if differ:
        return ClaimVerdict.CONFIRMED, text
    return (ClaimVerdict.REFUTED if compared == len(models) else ClaimVerdict.UNRESOLVED), text
