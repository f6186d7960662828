"""The claim about models that generate text."""

from __future__ import annotations

from collections.abc import Sequence

from profiler.compare import SAME_WITHIN
from profiler.suite.figures import fastest, is_torch, missing, over_torch, times
from profiler.suite.records import ClaimVerdict, Judged, Row, Step
from profiler.types import EngineKind


def language_models(rows: Sequence[Row]) -> Judged:
    """By the time per new token, of the faster PyTorch lane.

    Confirmed when ONNX Runtime is surely no more than 2 % faster than it; refuted when it is surely
    faster than every PyTorch lane.
    """
    decoded = [row for row in rows if row.step is Step.DECODE]
    if not decoded:
        return ClaimVerdict.UNRESOLVED, "No model that generates text was measured."
    told, verdicts = [], []
    for row in decoded:
        torch = [lane for lane in row.lanes if is_torch(lane) and lane.latency_ns]
        pairs = [(lane, over_torch(row, lane)) for lane in torch]
        known = [(lane, found) for lane, found in pairs if found and found.known]
        if not known:
            told.append(f"{row.title}: {missing(row)}")
            verdicts.append(ClaimVerdict.UNRESOLVED)
            continue
        if any(found.high <= 1 + SAME_WITHIN for _, found in known):
            verdicts.append(ClaimVerdict.CONFIRMED)
        elif len(known) == len(torch) and all(found.low > 1 for _, found in known):
            verdicts.append(ClaimVerdict.REFUTED)
        else:
            verdicts.append(ClaimVerdict.UNRESOLVED)
        told += [
            f"{row.title}, {row.workload}: ONNX Runtime is {times(found)} as fast as {lane.name}"
            for lane, found in known
        ]
        if all(lane.engine is not EngineKind.TORCH_COMPILE for lane in torch):
            told.append("torch.compile was not measured")
    told += [
        f"{row.title}: {times(lane.speedup)} as fast as PyTorch eager"
        for row in rows
        if row.step is Step.PREFILL
        for lane in [fastest(row, EngineKind.ORT)]
        if lane and lane.speedup
    ]
    verdict = verdicts[0] if len(set(verdicts)) == 1 else ClaimVerdict.UNRESOLVED
    return verdict, f"{'; '.join(told)}."
