"""Compare two lanes of a session, and say it in a sentence: pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set

from profiler.intervals import ends_text, interval_text, value_text
from profiler.stats import launches_estimate, paired_ratios, usable_launches
from profiler.types import Comparison, EngineKind, EngineSpec, Estimate, Verdict

# A whole interval inside of 1 +- this is called "same".
SAME_WITHIN = 0.02
# Fewer paired rounds than this never make a verdict.
MIN_ROUNDS = 10

ENGINE_NAMES = {
    EngineKind.ORT: "ONNX Runtime",
    EngineKind.TORCH_EAGER: "PyTorch eager",
    EngineKind.TORCH_SCRIPT: "TorchScript",
    EngineKind.TORCH_COMPILE: "torch.compile",
    EngineKind.TORCH_EXPORT: "torch.export",
    EngineKind.ENDPOINT: "endpoint",
}


def compare_rounds(
    baseline: tuple[str, Mapping[int, float]],
    candidate: tuple[str, Mapping[int, float]],
    *,
    set_aside: Set[int] = frozenset(),
    launches: Mapping[int, int] | None = None,
    comparisons: int = 1,
) -> Comparison | None:
    """Speedup of the candidate over the baseline; None before the first paired round.

    A lane is given as its label and its `round_medians`. `launches`: each round's launch, by index.
    `comparisons`: how many candidates are compared with the baseline in this run.
    """
    ratios = paired_ratios(baseline[1], candidate[1], set_aside=set_aside, launches=launches)
    if not ratios:
        return None
    speedup, low, high = launches_estimate(ratios, comparisons=comparisons)
    used = usable_launches(ratios) or ratios
    rounds = sum(values.size for values in used)
    return Comparison(
        baseline=baseline[0],
        candidate=candidate[0],
        speedup=speedup,
        low=low,
        high=high,
        verdict=judge(low, high, rounds),
        rounds=rounds,
        launches=len(used),
        set_aside=len(set_aside),
    )


def judge(low: float, high: float, rounds: int) -> Verdict:
    """Verdict on the candidate from its speedup's interval."""
    if rounds < MIN_ROUNDS:
        return Verdict.UNRESOLVED
    if low >= 1 - SAME_WITHIN and high <= 1 + SAME_WITHIN:
        return Verdict.SAME
    if low > 1:
        return Verdict.FASTER
    if high < 1:
        return Verdict.SLOWER
    return Verdict.UNRESOLVED


def relative_width(comparison: Comparison) -> float:
    """Width of the interval over the ratio; infinite while there is no interval."""
    return (comparison.high - comparison.low) / comparison.speedup


def lane_name(spec: EngineSpec) -> str:
    """What a person reads: the label as given; for a default one, engine and device."""
    if spec.engine is EngineKind.ENDPOINT:
        # Its device is the server's own affair.
        return spec.label
    device = "CPU" if spec.device == "cpu" else spec.device
    if spec.label == spec.engine.value:
        return f"{ENGINE_NAMES[spec.engine]} ({device})"
    return spec.label


def comparison_sentence(comparison: Comparison, baseline_name: str, candidate_name: str) -> str:
    """One sentence, from the faster lane's point of view."""
    found = comparison.estimate
    match comparison.verdict:
        case Verdict.FASTER:
            return _faster(candidate_name, baseline_name, found)
        case Verdict.SLOWER:
            inverse = Estimate(1 / found.value, 1 / found.high, 1 / found.low)
            return _faster(baseline_name, candidate_name, inverse)
        case Verdict.SAME:
            return (
                f"{candidate_name} and {baseline_name} are equally fast: "
                f"ratio {interval_text(found)}"
            )
        case Verdict.UNRESOLVED:
            return unresolved_sentences([(comparison, candidate_name)], baseline_name)[0]


def unresolved_sentences(found: Sequence[tuple[Comparison, str]], baseline_name: str) -> list[str]:
    """What is unresolved of candidates, each with its name, against one baseline: a sentence for
    those with too few rounds and one for those with too wide an interval.
    """
    few = [(c, name) for c, name in found if c.rounds < MIN_ROUNDS or not math.isfinite(c.high)]
    wide = [(c, name) for c, name in found if (c, name) not in few]
    sentences = []
    if few:
        least, most = min(c.rounds for c, _ in few), max(c.rounds for c, _ in few)
        count = (
            counted(most, "paired round") if least == most else f"{least} to {most} paired rounds"
        )
        names = [name for _, name in few]
        of = names[0] if len(names) == 1 else f"each of {_listed(names)}"
        joined = "and" if len(names) == 1 else "with"
        sentences.append(f"Unresolved: only {count} of {of} {joined} {baseline_name}")
    if wide:
        spans = [f"{name} against {baseline_name} lies in {_interval(c)}" for c, name in wide[:1]]
        spans += [f"{name} in {_interval(c)}" for c, name in wide[1:]]
        sentences.append(f"Unresolved: {_listed(spans)}; measure longer or calm the machine")
    return sentences


def _listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)


def _faster(name: str, other: str, ratio: Estimate) -> str:
    return f"{name} is {value_text(ratio)}× faster than {other} [{ends_text(ratio)}]"


def _interval(comparison: Comparison) -> str:
    return f"[{ends_text(comparison.estimate)}]"


def plain(value: float) -> str:
    """Four digits, without a power of ten for what is large: `0.1234`, `12,345`."""
    return f"{value:,.0f}" if abs(value) >= 9999.5 else f"{value:.4g}"


def counted(count: int, one: str, many: str = "") -> str:
    """`1 launch`, `2 launches`."""
    return f"{count} {one if count == 1 else many or one + 's'}"
