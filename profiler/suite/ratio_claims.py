"""Claims of two times on the article's GPU: elsewhere only their ratio can be judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from profiler.suite.figures import best, times
from profiler.suite.planning import TENSORRT
from profiler.suite.records import CPU, ClaimVerdict, Judged, Row, Step
from profiler.types import EngineKind

ARTICLE_GPU = "an RTX 6000 Pro"
# A claimed time is one to a tenth of a millisecond.
ROUNDING_MS = 0.05


@dataclass(frozen=True)
class RatioClaim:
    """Two times of the article, of which only the ratio can be asked for on other hardware."""

    key: str
    text: str
    model: str
    baseline_ms: float
    candidate_ms: float
    engine: EngineKind
    tensorrt: bool = False

    @property
    def ratio(self) -> float:
        return self.baseline_ms / self.candidate_ms

    @property
    def least(self) -> float:
        """The smallest ratio that the article's rounded times allow."""
        return (self.baseline_ms - ROUNDING_MS) / (self.candidate_ms + ROUNDING_MS)


RATIO_CLAIMS = (
    RatioClaim(
        "resnet-50",
        "ResNet-50: ONNX Runtime 2.1 ms, PyTorch eager 3.2 ms",
        "resnet-50",
        3.2,
        2.1,
        EngineKind.ORT,
    ),
    RatioClaim(
        "bert-tensorrt",
        "BERT: ONNX Runtime with TensorRT 0.8 ms, PyTorch eager 1.4 ms",
        "bert-base",
        1.4,
        0.8,
        EngineKind.ORT,
        tensorrt=True,
    ),
    RatioClaim(
        "bert-compile",
        "BERT: torch.compile 1.0 ms, PyTorch eager 1.4 ms",
        "bert-base",
        1.4,
        1.0,
        EngineKind.TORCH_COMPILE,
    ),
)


def ratio_claim(claim: RatioClaim, rows: Sequence[Row], left_out: Sequence[str] = ()) -> Judged:
    """Confirmed when the whole interval of the speedup lies at or above the least ratio that the
    article's times allow; refuted when it lies below.
    """
    row = next((r for r in rows if r.model == claim.model and r.step is Step.ENCODER), None)
    if row is None:
        return ClaimVerdict.UNRESOLVED, f"{claim.model} was not measured."
    lanes = [lane for lane in row.lanes if lane.engine is claim.engine]
    lanes = [lane for lane in lanes if (lane.provider in TENSORRT) == claim.tensorrt]
    if not lanes:
        return ClaimVerdict.UNRESOLVED, _no_lane(claim, left_out)
    lane = best(lanes)
    found = lane.speedup
    if found is None or not found.known:
        reason = lane.failure or "too few rounds for an interval"
        return ClaimVerdict.UNRESOLVED, f"{lane.name}: {reason}."
    machine = "a CPU" if row.device == CPU else "another GPU"
    text = (
        f"{lane.name} is {times(found)} as fast as PyTorch eager here; the article's times are "
        f"{claim.ratio:.2f}x apart, at least {claim.least:.2f}x before rounding. The hardware "
        f"differs ({ARTICLE_GPU} there, {machine} here), so that only the ratio is judged."
    )
    if found.low >= claim.least:
        return ClaimVerdict.CONFIRMED, text
    return (ClaimVerdict.REFUTED if found.high < claim.least else ClaimVerdict.UNRESOLVED), text


def _no_lane(claim: RatioClaim, left_out: Sequence[str]) -> str:
    if claim.tensorrt:
        return "ONNX Runtime has no TensorRT that runs here: it takes an NVIDIA GPU."
    reasons = [text for text in left_out if text.startswith("torch.compile")]
    return f"{reasons[0] if reasons else 'No such lane was measured'}."
