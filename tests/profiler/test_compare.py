"""Verdicts and their sentences."""

from __future__ import annotations

import msgspec
import pytest

from profiler.compare import (
    compare_rounds,
    comparison_sentence,
    judge,
    lane_name,
    plain,
    relative_width,
    unresolved_sentences,
)
from profiler.types import Comparison, EngineKind, EngineSpec, Verdict


def lane(label: str, *medians_ns: float) -> tuple[str, dict[int, float]]:
    return label, dict(enumerate(medians_ns))


@pytest.mark.parametrize(
    ("low", "high", "count", "verdict"),
    [
        (1.1, 1.2, 20, Verdict.FASTER),
        (0.8, 0.9, 20, Verdict.SLOWER),
        (0.99, 1.01, 20, Verdict.SAME),
        (1.005, 1.015, 20, Verdict.SAME),
        (0.97, 1.05, 20, Verdict.UNRESOLVED),
        (1.1, 1.2, 3, Verdict.UNRESOLVED),
    ],
)
def test_judge(low: float, high: float, count: int, verdict: Verdict) -> None:
    assert judge(low, high, count) is verdict


def test_speedup_is_baseline_over_candidate() -> None:
    found = compare_rounds(lane("a", *[200] * 12), lane("b", *[100] * 12))
    assert found is not None
    assert found.speedup == pytest.approx(2.0)
    assert (found.rounds, found.launches, found.verdict) == (12, 1, Verdict.FASTER)
    assert found.low < 2.0 < found.high
    assert relative_width(found) == pytest.approx((found.high - found.low) / 2.0)


def test_each_launch_counts() -> None:
    launches = {index: index // 10 for index in range(40)}
    found = compare_rounds(lane("a", *[200] * 40), lane("b", *[100] * 40), launches=launches)
    assert found is not None
    assert (found.rounds, found.launches) == (40, 4)
    one = compare_rounds(lane("a", *[200] * 40), lane("b", *[100] * 40))
    assert one is not None and relative_width(found) < relative_width(one)


def test_nothing_to_compare_before_a_paired_round() -> None:
    assert compare_rounds(lane("a", 1), lane("b")) is None


def comparison(speedup: float, low: float, high: float, verdict: Verdict) -> Comparison:
    return Comparison(
        baseline="t", candidate="o", speedup=speedup, low=low, high=high, verdict=verdict, rounds=20
    )


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (comparison(1.6, 1.55, 1.66, Verdict.FASTER), "O is 1.60× faster than T [1.55–1.66]"),
        (comparison(0.5, 0.4, 0.8, Verdict.SLOWER), "T is 2.0× faster than O [1.2–2.5]"),
        (
            comparison(1.0, 0.99, 1.01, Verdict.SAME),
            "O and T are equally fast: ratio 1.000 [0.990–1.010]",
        ),
    ],
)
def test_sentence_speaks_for_the_faster_lane(result: Comparison, sentence: str) -> None:
    assert comparison_sentence(result, "T", "O") == sentence


def test_unresolved_says_so_first() -> None:
    text = comparison_sentence(comparison(1.0, 0.9, 1.1, Verdict.UNRESOLVED), "T", "O")
    assert text.startswith("Unresolved: ")


def test_lanes_of_the_same_fate_are_told_together() -> None:
    few = [
        (msgspec.structs.replace(comparison(1, 0, 9, Verdict.UNRESOLVED), rounds=n), name)
        for n, name in ((9, "A"), (9, "B"), (7, "C"))
    ]
    wide = [(comparison(1.0, 0.9, 1.1, Verdict.UNRESOLVED), name) for name in ("D", "E")]
    assert unresolved_sentences(few[:2], "T") == [
        "Unresolved: only 9 paired rounds of each of A and B with T"
    ]
    assert unresolved_sentences([*wide, *few], "T") == [
        "Unresolved: only 7 to 9 paired rounds of each of A, B and C with T",
        "Unresolved: D against T lies in [0.90–1.10] and E in [0.90–1.10]; "
        "measure longer or calm the machine",
    ]
    assert unresolved_sentences(few[:1], "T") == ["Unresolved: only 9 paired rounds of A and T"]


def test_lane_names() -> None:
    assert lane_name(EngineSpec(label="ort", engine=EngineKind.ORT)) == "ONNX Runtime (CPU)"
    assert lane_name(EngineSpec(label="mine", engine=EngineKind.ORT)) == "mine"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12342, "0.1234"),
        (624.94, "624.9"),
        (9999.4, "9999"),
        (9999.6, "10,000"),
        (12016.9, "12,017"),
    ],
)
def test_large_figures_have_no_power_of_ten(value: float, text: str) -> None:
    assert plain(value) == text
