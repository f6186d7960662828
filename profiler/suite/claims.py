"""The published claims, each judged from the suite's rows: pure functions.

The article (ONNX Runtime against PyTorch, measured on an RTX 6000 Pro): "ONNX Runtime has 15-35 %
lower latency than PyTorch for most vision and NLP encoder models; ResNet-50 2.1 ms against 3.2 ms
eager; BERT 0.8 ms with TensorRT, 1.4 eager, 1.0 torch.compile; for autoregressive LLMs PyTorch
matches or beats it; 15-35 % fewer GPU hours; conversion is a one-time cost; the export may differ
numerically." `docs/suite.md` has the rule of each verdict.
"""

from __future__ import annotations

from collections.abc import Sequence

from profiler.suite.export_claims import conversion, numerics
from profiler.suite.figures import against_eager
from profiler.suite.generation_claims import language_models
from profiler.suite.ratio_claims import RATIO_CLAIMS, ratio_claim
from profiler.suite.records import CPU, Claim, Judged, Row
from profiler.suite.saving_claims import hours_saved, latency_saved, least, within_range


def judge(rows: Sequence[Row], left_out: Sequence[str] = ()) -> tuple[Claim, ...]:
    """Every claim, on the GPU's rows where there are any: the article is about a GPU.

    `left_out`: what the suite didn't measure, and why.
    """
    device = claims_device(rows)
    here = [against_eager(row) for row in rows if row.device == device]
    latency, hours = latency_saved(here), hours_saved(here)
    return (
        _claim(
            "encoders",
            "ONNX Runtime has lower latency than PyTorch for most vision and NLP encoders, by 15 % "
            "or more",
            least(latency),
        ),
        _claim("encoders-range", "It is lower by 15-35 %", within_range(latency)),
        *(_claim(c.key, c.text, ratio_claim(c, here, left_out)) for c in RATIO_CLAIMS),
        _claim(
            "llm",
            "For autoregressive LLMs PyTorch matches or beats ONNX Runtime",
            language_models(here),
        ),
        _claim("hours", "ONNX Runtime takes fewer GPU hours, by 15 % or more", least(hours)),
        _claim("hours-range", "It takes 15-35 % fewer GPU hours", within_range(hours)),
        _claim("conversion", "Conversion to ONNX is a one-time cost", conversion(here)),
        _claim("numerics", "The exported model may differ numerically", numerics(here)),
    )


def claims_device(rows: Sequence[Row]) -> str:
    """The GPU where one was measured, else the CPU."""
    return next((row.device for row in rows if row.device != CPU), CPU)


def _claim(key: str, text: str, judged: Judged) -> Claim:
    return Claim(key=key, text=text, verdict=judged[0], figures=judged[1])
