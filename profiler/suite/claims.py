"""The published claims, each a function from the suite's rows to a verdict: pure functions.

The article (ONNX Runtime against PyTorch, measured on an RTX 6000 Pro): "ONNX Runtime has 15-35 %
lower latency than PyTorch for most vision and NLP encoder models; ResNet-50 2.1 ms against 3.2 ms
eager; BERT 0.8 ms with TensorRT, 1.4 eager, 1.0 torch.compile; for autoregressive LLMs PyTorch
matches or beats it; 15-35 % fewer GPU hours; conversion is a one-time cost; the export may differ
numerically." `docs/suite.md` has the rule of each verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from profiler.compare import SAME_WITHIN, counted
from profiler.suite.figures import (
    against_eager,
    best,
    eager_lane,
    fastest,
    is_torch,
    missing,
    over_torch,
    percent,
    saved,
    times,
    upper,
)
from profiler.suite.planning import TENSORRT
from profiler.suite.records import CPU, Claim, ClaimVerdict, Estimate, LaneResult, Row, Step
from profiler.types import EngineKind

# The claimed range of what ONNX Runtime saves.
LEAST_SAVED, MOST_SAVED = 0.15, 0.35
ARTICLE_GPU = "an RTX 6000 Pro"
# A claimed time is one to a tenth of a millisecond.
ROUNDING_MS = 0.05
CONFIRMED, REFUTED, UNRESOLVED = ClaimVerdict
Judged = tuple[ClaimVerdict, str]


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


def judge(rows: Sequence[Row], left_out: Sequence[str] = ()) -> tuple[Claim, ...]:
    """Every claim, on the GPU's rows where there are any: the article is about a GPU.

    `left_out`: what the suite didn't measure, and why.
    """
    device = claims_device(rows)
    here = [against_eager(row) for row in rows if row.device == device]
    made = [
        _claim(
            "encoders",
            "ONNX Runtime has 15-35 % lower latency than PyTorch for most vision and NLP encoders",
            encoders(here),
        )
    ]
    made += [_claim(c.key, c.text, ratio_claim(c, here, left_out)) for c in RATIO_CLAIMS]
    others: tuple[tuple[str, str, Callable[[Sequence[Row]], Judged]], ...] = (
        ("llm", "For autoregressive LLMs PyTorch matches or beats ONNX Runtime", language_models),
        ("hours", "ONNX Runtime takes 15-35 % fewer GPU hours", machine_hours),
        ("conversion", "Conversion to ONNX is a one-time cost", conversion),
        ("numerics", "The exported model may differ numerically", numerics),
    )
    return (*made, *(_claim(key, text, rule(here)) for key, text, rule in others))


def claims_device(rows: Sequence[Row]) -> str:
    """The GPU where one was measured, else the CPU."""
    return next((row.device for row in rows if row.device != CPU), CPU)


def _claim(key: str, text: str, judged: Judged) -> Claim:
    return Claim(key=key, text=text, verdict=judged[0], figures=judged[1])


# --- the rules --------------------------------------------------------------------------------


def encoders(rows: Sequence[Row]) -> Judged:
    """By the share of eager PyTorch's median latency that ONNX Runtime saves, model by model."""
    return _most_save(rows, lambda lane: lane.speedup, "lower latency")


def machine_hours(rows: Sequence[Row]) -> Judged:
    """By the same share of mean time per call, which is what hours of a machine follow."""
    verdict, text = _most_save(rows, lambda lane: lane.machine_time, "fewer machine hours")
    if rows and all(row.device == CPU for row in rows):
        text += " These are hours of this machine's CPU: there is no GPU here."
    return verdict, text


def _most_save(
    rows: Sequence[Row], ratio: Callable[[LaneResult], Estimate | None], what: str
) -> Judged:
    """Confirmed when more than half of the encoders' intervals lie at or above the claimed least;
    refuted when more than half lie below it.
    """
    asked = [row for row in rows if row.step is Step.ENCODER]
    reach = within = below = 0
    told = []
    for row in asked:
        lane = fastest(row, EngineKind.ORT)
        found = saved(ratio(lane)) if lane else None
        if found is None or found.low is None or found.high is None:
            told.append(f"{row.title}: {missing(row)}")
            continue
        reach += found.low >= LEAST_SAVED
        within += found.low >= LEAST_SAVED and found.high <= MOST_SAVED
        below += found.high < LEAST_SAVED
        told.append(f"{row.title} {percent(found)}")
    if not asked:
        return UNRESOLVED, "No encoder was measured."
    verdict = UNRESOLVED
    if reach * 2 > len(asked):
        verdict = CONFIRMED
    elif below * 2 > len(asked):
        verdict = REFUTED
    open_ = len(asked) - reach - below
    parts = [
        f"{reach} of {counted(len(asked), 'encoder')} surely at 15 % or more",
        f"{within} of these surely within 15-35 %" if reach else "",
        f"{below} surely below 15 %" if below else "",
        f"{open_} unresolved" if open_ else "",
    ]
    return verdict, (
        f"{', '.join(filter(None, parts))}. {what.capitalize()} with ONNX Runtime than PyTorch "
        f"eager: {'; '.join(told)}."
    )


def ratio_claim(claim: RatioClaim, rows: Sequence[Row], left_out: Sequence[str] = ()) -> Judged:
    """Confirmed when the whole interval of the speedup lies at or above the least ratio that the
    article's times allow; refuted when it lies below.
    """
    row = next((r for r in rows if r.model == claim.model and r.step is Step.ENCODER), None)
    if row is None:
        return UNRESOLVED, f"{claim.model} was not measured."
    lanes = [lane for lane in row.lanes if lane.engine is claim.engine]
    lanes = [lane for lane in lanes if (lane.provider in TENSORRT) == claim.tensorrt]
    if not lanes:
        return UNRESOLVED, _no_lane(claim, left_out)
    lane = best(lanes)
    found = lane.speedup
    if found is None or found.low is None or found.high is None:
        return UNRESOLVED, f"{lane.name}: {lane.failure or 'too few rounds for an interval'}."
    machine = "a CPU" if row.device == CPU else "another GPU"
    text = (
        f"{lane.name} is {times(found)} as fast as PyTorch eager here; the article's times are "
        f"{claim.ratio:.2f}x apart, at least {claim.least:.2f}x before rounding. The hardware "
        f"differs ({ARTICLE_GPU} there, {machine} here), so that only the ratio is judged."
    )
    if found.low >= claim.least:
        return CONFIRMED, text
    return (REFUTED if found.high < claim.least else UNRESOLVED), text


def _no_lane(claim: RatioClaim, left_out: Sequence[str]) -> str:
    if claim.tensorrt:
        return "ONNX Runtime has no TensorRT that runs here: it takes an NVIDIA GPU."
    reasons = [text for text in left_out if text.startswith("torch.compile")]
    return f"{reasons[0] if reasons else 'No such lane was measured'}."


def language_models(rows: Sequence[Row]) -> Judged:
    """By the time per new token, of the faster PyTorch lane.

    Confirmed when ONNX Runtime is surely no more than 2 % faster than it; refuted when it is surely
    faster than every PyTorch lane.
    """
    decoded = [row for row in rows if row.step is Step.DECODE]
    if not decoded:
        return UNRESOLVED, "No model that generates text was measured."
    told, verdicts = [], []
    for row in decoded:
        torch = [lane for lane in row.lanes if is_torch(lane) and lane.latency_ns]
        pairs = [(lane, over_torch(row, lane)) for lane in torch]
        known = [(lane, found) for lane, found in pairs if found and found.high is not None]
        if not known:
            told.append(f"{row.title}: {missing(row)}")
            verdicts.append(UNRESOLVED)
            continue
        if any(upper(found) <= 1 + SAME_WITHIN for _, found in known):
            verdicts.append(CONFIRMED)
        elif len(known) == len(torch) and all((found.low or 0.0) > 1 for _, found in known):
            verdicts.append(REFUTED)
        else:
            verdicts.append(UNRESOLVED)
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
    verdict = verdicts[0] if len(set(verdicts)) == 1 else UNRESOLVED
    return verdict, f"{'; '.join(told)}."


def conversion(rows: Sequence[Row]) -> Judged:
    """Confirmed when every model has a file that was made once, loaded by every launch, and takes
    other sizes too; refuted when most models have none such.
    """
    models = {row.model: row for row in rows}
    if not models:
        return UNRESOLVED, "Nothing was converted."
    good = [row for row in models.values() if row.conversion_ns and not row.fixed]
    bad = [row for row in models.values() if _failed(row) or row.fixed]
    told = [f"{len(good)} of {counted(len(models), 'model')} converted once, for any batch size"]
    told += [f"{row.title}: fixed at this {row.fixed}" for row in bad if row.fixed]
    told += [f"{row.title}: {missing(row)}" for row in bad if not row.fixed]
    told += [_payback(row, [r for r in rows if r.model == row.model]) for row in good]
    verdict = UNRESOLVED
    if len(good) == len(models):
        verdict = CONFIRMED
    elif len(bad) * 2 > len(models):
        verdict = REFUTED
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
        return UNRESOLVED, "No outputs were compared."
    text = f"Largest differences from PyTorch eager: {'; '.join(told)}."
    if differ:
        return CONFIRMED, text
    return (REFUTED if compared == len(models) else UNRESOLVED), text
